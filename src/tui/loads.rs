//! Which questions are under way: one of each kind at a time, and none forgotten.

/// At most one question of a kind in flight; a newer one waits for the answer.
#[derive(Debug)]
pub struct Slot<K> {
    in_flight: bool,
    next: Option<K>,
}

impl<K> Default for Slot<K> {
    fn default() -> Self {
        Self { in_flight: false, next: None }
    }
}

impl<K> Slot<K> {
    /// Asks `key`; it comes back when it has to be sent now.
    pub fn ask(&mut self, key: K) -> Option<K> {
        if self.in_flight {
            self.next = Some(key);
            return None;
        }
        self.in_flight = true;
        Some(key)
    }

    /// The answer has come; the question to send next.
    pub fn answered(&mut self) -> Option<K> {
        self.in_flight = false;
        let key = self.next.take()?;
        self.ask(key)
    }
}

/// Questions about several things of which one is under way at a time, and the newest about each waits.
#[derive(Debug)]
pub struct Queue<K> {
    in_flight: bool,
    waiting: Vec<(String, K)>,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self { in_flight: false, waiting: Vec::new() }
    }
}

impl<K> Queue<K> {
    /// Asks `key` about `what`; it comes back when it has to be sent now.
    pub fn ask(&mut self, what: &str, key: K) -> Option<K> {
        if !self.in_flight {
            self.in_flight = true;
            return Some(key);
        }
        self.waiting.retain(|(other, _)| other != what);
        self.waiting.push((what.to_owned(), key));
        None
    }

    /// Whether no answer is out.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.in_flight
    }

    /// An answer has come; the question to send next: the oldest about something that is still `wanted`.
    pub fn answered(&mut self, wanted: impl Fn(&str) -> bool) -> Option<(String, K)> {
        self.in_flight = false;
        self.waiting.retain(|(what, _)| wanted(what));
        if self.waiting.is_empty() {
            return None;
        }
        self.in_flight = true;
        Some(self.waiting.remove(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_wanted_any_more_is_not_asked() {
        let mut queue = Queue::default();
        assert_eq!(queue.ask("a", 1), Some(1));
        assert_eq!(
            (queue.ask("b", 2), queue.ask("c", 3), queue.ask("b", 4), queue.ask("a", 5)),
            (None, None, None, None)
        );
        assert_eq!(queue.answered(|what| what != "c"), Some(("b".to_owned(), 4)));
        assert_eq!(queue.answered(|_| true), Some(("a".to_owned(), 5)));
        assert_eq!(queue.answered(|_| true), None);
        assert_eq!(queue.ask("d", 6), Some(6));
    }

    #[test]
    fn only_the_newest_question_waits() {
        let mut slot = Slot::default();
        assert_eq!(slot.ask(1), Some(1));
        assert_eq!(slot.ask(2), None);
        assert_eq!(slot.ask(3), None);
        assert_eq!(slot.answered(), Some(3));
        assert_eq!(slot.answered(), None);
        assert_eq!(slot.ask(4), Some(4));
    }
}

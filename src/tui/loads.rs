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

    /// Whether no answer is out.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.in_flight
    }

    /// The answer has come; the question to send next.
    pub fn answered(&mut self) -> Option<K> {
        self.in_flight = false;
        let key = self.next.take()?;
        self.ask(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

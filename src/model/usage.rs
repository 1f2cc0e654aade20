//! What a session has used up of its model's window and of the account's limits, as its rollout told last.

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::{
    progress::Progress,
    rollout::{LimitWindow, RateLimits},
};
use crate::base::Timestamp;

/// How full the model's context is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextUse {
    /// Tokens of the last request.
    pub used_tokens: u64,
    /// Size of the model's window.
    pub window_tokens: u64,
}

impl ContextUse {
    /// Used share of the window, 0 to 100.
    #[must_use]
    pub fn percent(self) -> u8 {
        if self.window_tokens == 0 {
            return 0;
        }
        u8::try_from((self.used_tokens.saturating_mul(100) / self.window_tokens).min(100)).unwrap_or(100)
    }
}

impl Serialize for ContextUse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("ContextUse", 3)?;
        members.serialize_field("percent", &self.percent())?;
        members.serialize_field("used_tokens", &self.used_tokens)?;
        members.serialize_field("window_tokens", &self.window_tokens)?;
        members.end()
    }
}

/// Tokens and account limits. The source is always the rollout; what it has not told is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenUse {
    /// When the rollout told of tokens last.
    pub at: Option<Timestamp>,
    /// First byte of that line.
    pub byte_offset: u64,
    /// Tokens of the whole thread.
    pub total_tokens: Option<u64>,
    /// When it told of limits last.
    pub limits_at: Option<Timestamp>,
    /// The account's limits, the shorter window first.
    pub limits: Vec<Limit>,
    /// Which limit is used up, in Codex's word.
    pub limit_reached: Option<String>,
}

/// One account limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// How much of it is used, 0 to 100.
    pub used_percent: u8,
    /// Length of the window.
    pub window_minutes: Option<u64>,
    /// When it starts anew.
    pub resets_at: Option<Timestamp>,
}

impl Limit {
    fn of(window: &LimitWindow) -> Self {
        let percent = window.used_percent.clamp(0.0, 100.0);
        Self {
            used_percent: format!("{percent:.0}").parse().unwrap_or(100),
            window_minutes: window.window_minutes,
            resets_at: window.resets_at,
        }
    }

    /// The window in words: `5h`, `7d`.
    #[must_use]
    pub fn window(&self) -> String {
        match self.window_minutes {
            None => "limit".to_owned(),
            Some(minutes @ 0..60) => format!("{minutes}m"),
            Some(minutes @ 60..1_440) => format!("{}h", minutes / 60),
            Some(minutes) => format!("{}d", minutes / 1_440),
        }
    }
}

/// What a fold knows of tokens; none when its lines told nothing.
#[must_use]
pub fn of(progress: &Progress) -> (Option<ContextUse>, Option<TokenUse>) {
    let context = match (progress.used_tokens, progress.window_tokens) {
        (Some(used_tokens), Some(window_tokens)) => Some(ContextUse { used_tokens, window_tokens }),
        _ => None,
    };
    let tokens = progress.tokens_at.map(|mark| {
        let windows = |limits: &RateLimits| {
            [&limits.primary, &limits.secondary].into_iter().flatten().map(Limit::of).collect::<Vec<_>>()
        };
        TokenUse {
            at: mark.at,
            byte_offset: mark.byte_offset,
            total_tokens: progress.total_tokens,
            limits_at: progress.limits_at,
            limits: progress.limits.as_ref().map(windows).unwrap_or_default(),
            limit_reached: progress.limits.as_ref().and_then(|limits| limits.reached.clone()),
        }
    });
    (context, tokens)
}

/// A number of tokens: `850`, `12k`, `1.2M`.
#[must_use]
pub fn tokens(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{}k", count / 1_000),
        _ => format!("{}.{}M", count / 1_000_000, count % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([999, 1_000, 258_400, 1_250_000].map(tokens), ["999", "1k", "258k", "1.2M"]);
        let window = |minutes| Limit { used_percent: 1, window_minutes: minutes, resets_at: None }.window();
        assert_eq!([Some(45), Some(300), Some(10_080), None].map(window), ["45m", "5h", "7d", "limit"]);
    }

    #[test]
    fn a_context_is_never_more_than_full() {
        let percent = |used_tokens, window_tokens| ContextUse { used_tokens, window_tokens }.percent();
        assert_eq!((percent(1, 0), percent(45, 100), percent(300, 200), percent(u64::MAX, 5)), (0, 45, 100, 100));
    }

    #[test]
    fn nothing_told_is_nothing_known() {
        assert_eq!(of(&Progress::default()), (None, None));
    }
}

//! Options of `pair` that belong to parts of the program which are not there yet: known, and refused.

use std::str::FromStr;

/// A value that no text is taken for.
#[derive(Debug, Clone, PartialEq)]
pub enum NotYet {}

impl FromStr for NotYet {
    type Err = &'static str;

    fn from_str(_: &str) -> Result<Self, Self::Err> {
        Err("this option is not there yet; nothing was started")
    }
}

macro_rules! later {
    ($($(#[$meta:meta])* $name:ident,)+) => {
        /// What is refused.
        #[derive(Debug, Clone, PartialEq, Default, clap::Args)]
        pub struct LaterArgs {
            $($(#[$meta])*
            #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "", value_name = "VALUE", allow_hyphen_values = true)]
            pub $name: Option<NotYet>,)+
        }
    };
}

later! {
    /// Comes with configurations of managers
    manager_mode,
    /// The same
    manager_recipe,
    /// The same
    manager_objective,
    /// The same
    manager_guideline,
    /// The same
    manager_acceptance,
    /// The same
    manager_reference,
    /// The same
    manager_permit,
    /// The same
    manager_tool,
    /// The same
    manager_epilogue,
    /// The same
    manager_nudge_on_completion,
    /// The same
    manager_require_acks,
    /// The same
    manager_allow_pr,
    /// The same
    manager_allow_merge_green,
    /// The same
    manager_allow_worker_compact_clear,
    /// The same
    manager_permissions_json,
}

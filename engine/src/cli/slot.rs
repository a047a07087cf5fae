//! `keylane slot`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::answer::Answer;
use super::failure::Failure;
use super::place::StorePlace;
use super::table::table;
use crate::admin::SlotView;

/// Verbs on slots.
#[derive(Debug, Subcommand)]
pub(super) enum Slot {
    /// Create a slot. Nobody may use it until `keylane grant add` says who.
    #[command(after_help = "Example:\n  keylane slot create web\n  keylane grant add --slot web --uid 33")]
    Create {
        /// Its name: 1 to 64 octets, unique in the token.
        name: String,
        #[command(flatten)]
        place: StorePlace,
    },
    /// List the slots.
    List {
        #[command(flatten)]
        place: StorePlace,
    },
}

impl Slot {
    pub(super) fn run(&self) -> Result<Answer, Failure> {
        match self {
            Self::Create { name, place } => {
                let slot = place.connect()?.create_slot(name)?;
                let text = format!("created slot {} ({})", slot.name, slot.slot.0);
                Ok(Answer::new(text, json(&slot)))
            }
            Self::List { place } => Ok(listing(&place.connect()?.slots()?)),
        }
    }
}

fn listing(slots: &[SlotView]) -> Answer {
    let row = |slot: &SlotView| {
        [slot.slot.0.to_string(), slot.name.clone(), slot.keys.to_string(), slot.grants.to_string()]
    };
    let text = table(["SLOT", "NAME", "KEYS", "GRANTS"], slots.iter().map(row));
    Answer::new(text, slots.iter().map(json).collect())
}

fn json(slot: &SlotView) -> Value {
    json!({ "slot": slot.slot, "name": slot.name, "keys": slot.keys, "grants": slot.grants })
}

//! The keys that a session may name, by handle.

use std::sync::Arc;

use keylane_api::control::KeyId;

use crate::admin::GrantId;
use crate::directory::{KeyRecord, Visible};
use crate::limits::SESSION_HANDLES_MAX;

/// A key behind a handle.
pub(super) struct Held {
    pub(super) key: Arc<KeyRecord>,
    pub(super) grant: GrantId,
}

#[derive(Default)]
struct Place {
    /// How often the place was used before; a handle of a former use never fits again.
    generation: u32,
    held: Option<Held>,
}

/// A position and its generation, as wire handles carry them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// The handle table of one session.
#[derive(Default)]
pub(super) struct Handles {
    places: Vec<Place>,
    free: Vec<u32>,
}

impl Handles {
    /// A handle for a key; `None` when the session has [`SESSION_HANDLES_MAX`].
    pub(super) fn hold(&mut self, key: Arc<KeyRecord>, grant: GrantId) -> Option<Position> {
        let index = self.free.pop().or_else(|| self.new_place())?;
        let place = self.places.get_mut(index as usize)?;
        place.held = Some(Held { key, grant });
        Some(Position { index, generation: place.generation })
    }

    /// Gives a handle back; whether there was such a handle.
    pub(super) fn release(&mut self, position: Position) -> bool {
        let Some(place) = self.places.get_mut(position.index as usize) else { return false };
        if place.generation != position.generation || place.held.take().is_none() {
            return false;
        }
        // A place whose generations are used up is never used again.
        if let Some(generation) = place.generation.checked_add(1) {
            place.generation = generation;
            self.free.push(position.index);
        }
        true
    }

    /// The key behind a handle.
    pub(super) fn get(&self, position: Position) -> Option<&Held> {
        let place = self.places.get(position.index as usize)?;
        place.held.as_ref().filter(|_| place.generation == position.generation)
    }

    /// Handles that are held.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.iter().count()
    }

    /// Handles of a key.
    pub(super) fn of_key(&self, key: KeyId) -> Vec<Position> {
        self.iter().filter(|(_, held)| held.key.key == key).map(|(position, _)| position).collect()
    }

    /// Follows a change of the slots that the session sees, and returns the handles that it concerns: a key that stays
    /// visible keeps its handle under the grant that shows it now, any other loses it.
    pub(super) fn follow(&mut self, visible: &Visible) -> Vec<Position> {
        let moved = |held: &Held| visible.get(&held.key.slot) != Some(&held.grant);
        let concerned: Vec<Position> =
            self.iter().filter(|(_, held)| moved(held)).map(|(position, _)| position).collect();
        for &position in &concerned {
            let held = self.places.get_mut(position.index as usize).and_then(|place| place.held.as_mut());
            let Some(held) = held else { continue };
            match visible.get(&held.key.slot) {
                Some(&grant) => held.grant = grant,
                None => drop(self.release(position)),
            }
        }
        concerned
    }

    fn iter(&self) -> impl Iterator<Item = (Position, &Held)> {
        (0..).zip(&self.places).filter_map(|(index, place)| {
            let position = Position { index, generation: place.generation };
            place.held.as_ref().map(|held| (position, held))
        })
    }

    fn new_place(&mut self) -> Option<u32> {
        if self.places.len() == SESSION_HANDLES_MAX {
            return None;
        }
        self.places.push(Place::default());
        u32::try_from(self.places.len() - 1).ok()
    }
}

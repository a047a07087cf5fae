//! `keylane grant`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::answer::Answer;
use super::failure::Failure;
use super::place::StorePlace;
use super::table::table;
use crate::admin::{GrantId, GrantView, Who};

const ADD_HELP: &str = "\
Examples:
  keylane grant add --slot web --uid 33
      processes of user 33 (www-data), through the engine's own socket
  keylane grant add --slot shop --listener /run/keylane/shop.sock
      whoever can open this socket, which the engine creates: mount it into one container
  keylane grant add --slot shop --uid 0 --listener /run/keylane/shop.sock
      root in that container too; users 0 and 65534 must always be named

A connection sees the slots of every grant that fits it; on one slot the most specific grant wins.";

/// Verbs on grants.
#[derive(Debug, Subcommand)]
pub(super) enum Grant {
    /// Let peers use the keys of a slot.
    #[command(after_help = ADD_HELP)]
    Add {
        /// The slot's name.
        #[arg(long, value_name = "NAME")]
        slot: String,
        #[command(flatten)]
        peers: Peers,
        #[command(flatten)]
        place: StorePlace,
    },
    /// List the grants.
    List {
        #[command(flatten)]
        place: StorePlace,
    },
    /// Take a grant back; sessions that live by it lose its slot at once.
    Revoke {
        /// Its number, as `keylane grant list` shows it.
        grant: u32,
        #[command(flatten)]
        place: StorePlace,
    },
}

/// Whom a grant covers: a user, a group, or all who reach a listener.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(super) struct Peers {
    /// Processes of this user.
    #[arg(long, conflicts_with = "gid")]
    uid: Option<u32>,
    /// Processes of this primary group.
    #[arg(long)]
    gid: Option<u32>,
    /// Only connections to this socket, which the engine creates [default: the engine's own socket].
    #[arg(long, value_name = "PATH")]
    listener: Option<PathBuf>,
}

impl Peers {
    fn who(&self) -> Who {
        match (self.uid, self.gid) {
            (Some(uid), _) => Who::Uid(uid),
            (None, Some(gid)) => Who::Gid(gid),
            (None, None) => Who::Listener,
        }
    }

    /// The engine has its own working directory: it gets an absolute path.
    fn listener(&self) -> Result<Option<PathBuf>, Failure> {
        let absolute = |path| std::path::absolute(path).map_err(Failure::file("find", path));
        self.listener.as_deref().map(absolute).transpose()
    }
}

impl Grant {
    pub(super) fn run(&self) -> Result<Answer, Failure> {
        match self {
            Self::Add { slot, peers, place } => {
                let listener = peers.listener()?;
                let grant = place.connect()?.add_grant(slot, peers.who(), listener)?;
                let text =
                    format!("grant {}: {} may use slot {}", grant.grant.0, peer(grant.who), grant.slot);
                Ok(Answer::new(text, json(&grant)))
            }
            Self::List { place } => Ok(listing(&place.connect()?.grants()?)),
            Self::Revoke { grant, place } => {
                place.connect()?.revoke_grant(GrantId(*grant))?;
                Ok(Answer::new(format!("revoked grant {grant}"), json!({ "revoked": grant })))
            }
        }
    }
}

fn listing(grants: &[GrantView]) -> Answer {
    let row = |grant: &GrantView| {
        let listener = grant.listener.as_ref().map_or("-".to_owned(), |path| path.display().to_string());
        [grant.grant.0.to_string(), grant.slot.clone(), peer(grant.who), listener]
    };
    let text = table(["GRANT", "SLOT", "WHO", "LISTENER"], grants.iter().map(row));
    Answer::new(text, grants.iter().map(json).collect())
}

fn peer(who: Who) -> String {
    match who {
        Who::Uid(uid) => format!("uid {uid}"),
        Who::Gid(gid) => format!("gid {gid}"),
        Who::Listener => "anyone there".to_owned(),
    }
}

fn json(grant: &GrantView) -> Value {
    let (uid, gid) = match grant.who {
        Who::Uid(uid) => (Some(uid), None),
        Who::Gid(gid) => (None, Some(gid)),
        Who::Listener => (None, None),
    };
    json!({ "grant": grant.grant, "slot": grant.slot, "uid": uid, "gid": gid, "listener": grant.listener })
}

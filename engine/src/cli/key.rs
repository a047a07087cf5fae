//! `keylane key`.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use keylane_api::Algorithm;
use keylane_api::reference::KeyReference;
use pem_rfc7468::LineEnding;
use serde_json::{Value, json};

use super::answer::Answer;
use super::failure::Failure;
use super::place::StorePlace;
use super::table::{facts, table};
use crate::admin::KeyView;
use crate::policy::Policy;

const ALLOW_HELP: &str = "\
Uses (--allow, separated by commas; default tls13-server,tls12-server):
  tls13-server   TLS 1.3 server signatures and nothing else
  tls12-server   TLS 1.2 server key exchange signatures and nothing else
  sign           any message; the engine hashes it
  raw-digest     any digest that the caller made: a general signing oracle";

const IMPORT_HELP: &str = "\
Reads PKCS#8, PKCS#1 and SEC1, as PEM or DER. The engine reads the file, not this command.
Weak and inconsistent keys are refused. Delete the file once the key is imported.

Example:
  keylane key import --slot web --label example.org example.org.key
  keylane key reference --slot web example.org -o /etc/tls/example.org.key.pem";

const REFERENCE_HELP: &str = "\
A reference is a PEM file with the public key and the key's address. It holds no secret: give it to
the server in place of the private key.

Example:
  keylane key reference --slot web example.org -o key.pem";

/// Verbs on keys.
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Generate a key in the engine.
    #[command(after_help = ALLOW_HELP)]
    Generate {
        #[command(flatten)]
        new: NewKey,
        /// What to generate: rsa-2048, rsa-3072, rsa-4096, p-256, p-384 or ed25519.
        #[arg(long, value_name = "NAME", value_parser = algorithm)]
        algorithm: Algorithm,
        #[command(flatten)]
        place: StorePlace,
    },
    /// Import a private key from a file.
    #[command(after_help = IMPORT_HELP, after_long_help = format!("{ALLOW_HELP}\n\n{IMPORT_HELP}"))]
    Import {
        #[command(flatten)]
        new: NewKey,
        /// The private key.
        file: PathBuf,
        #[command(flatten)]
        place: StorePlace,
    },
    /// List the keys.
    List {
        /// Only of this slot.
        #[arg(long, value_name = "NAME")]
        slot: Option<String>,
        #[command(flatten)]
        place: StorePlace,
    },
    /// Show one key: its identity, policy and public half.
    Show {
        #[command(flatten)]
        name: KeyName,
        #[command(flatten)]
        place: StorePlace,
    },
    /// Write the public key as PEM.
    ExportPublic {
        #[command(flatten)]
        name: KeyName,
        /// Where to [default: standard output].
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        place: StorePlace,
    },
    /// Write a reference: the file that a server loads instead of the private key.
    #[command(after_help = REFERENCE_HELP)]
    Reference {
        #[command(flatten)]
        name: KeyName,
        /// Where to [default: standard output].
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        place: StorePlace,
    },
    /// Delete a key for ever.
    Delete {
        #[command(flatten)]
        name: KeyName,
        #[command(flatten)]
        place: StorePlace,
    },
}

/// What a new key is called and may do.
#[derive(Args, Debug)]
pub(super) struct NewKey {
    /// The slot's name.
    #[arg(long, value_name = "NAME")]
    slot: String,
    /// The key's label: 1 to 64 octets, unique in the slot.
    #[arg(long)]
    label: String,
    /// What the key may be used for [default: tls13-server,tls12-server].
    #[arg(long, value_name = "USES")]
    allow: Option<String>,
}

/// Which key.
#[derive(Args, Debug)]
pub(super) struct KeyName {
    /// The slot's name.
    #[arg(long, value_name = "NAME")]
    slot: String,
    /// The key's label.
    label: String,
}

impl Key {
    pub(super) fn run(&self) -> Result<Answer, Failure> {
        match self {
            Self::Generate { new, algorithm, place } => {
                let allow = new.allow.clone();
                let key = place.connect()?.generate_key(&new.slot, &new.label, *algorithm, allow)?;
                Ok(made("generated", &key))
            }
            Self::Import { new, file, place } => import(new, file, place),
            Self::List { slot, place } => Ok(listing(&place.connect()?.keys(slot.as_deref())?)),
            Self::Show { name, place } => {
                let key = name.look_up(place)?;
                Ok(Answer::new(details(&key), json(&key)))
            }
            Self::ExportPublic { name, output, place } => {
                let key = name.look_up(place)?;
                hand_out("public_key", public_pem(&key), output.as_deref())
            }
            Self::Reference { name, output, place } => {
                let key = name.look_up(place)?;
                hand_out("reference", reference(&key)?, output.as_deref())
            }
            Self::Delete { name, place } => {
                place.connect()?.delete_key(&name.slot, &name.label)?;
                let KeyName { slot, label } = name;
                let text = format!("deleted key {label} of slot {slot}");
                Ok(Answer::new(text, json!({ "deleted": { "slot": slot, "label": label } })))
            }
        }
    }
}

impl KeyName {
    fn look_up(&self, place: &StorePlace) -> Result<KeyView, Failure> {
        Ok(place.connect()?.key(&self.slot, &self.label)?)
    }
}

/// Reads an algorithm's name, with or without its hyphen.
fn algorithm(name: &str) -> Result<Algorithm, String> {
    let bare = |name: &str| name.replace('-', "");
    let named = Algorithm::ALL.into_iter().find(|algorithm| bare(algorithm.name()) == bare(name));
    named.ok_or_else(|| format!("it is one of {}", Algorithm::ALL.map(Algorithm::name).join(", ")))
}

/// Hands the open file to the engine, so that its octets never pass through this process.
fn import(new: &NewKey, file: &Path, place: &StorePlace) -> Result<Answer, Failure> {
    let opened = File::open(file).map_err(Failure::file("open", file))?;
    let key = place.connect()?.import_key(&new.slot, &new.label, new.allow.clone(), opened.as_fd())?;
    Ok(made("imported", &key))
}

fn made(verb: &str, key: &KeyView) -> Answer {
    let KeyView { label, slot_name, algorithm, .. } = key;
    let name = algorithm.name();
    let allows = allows(key);
    Answer::new(format!("{verb} {name} key {label} in slot {slot_name}, for {allows}"), json(key))
}

fn listing(keys: &[KeyView]) -> Answer {
    let row = |key: &KeyView| {
        let (slot, label) = (key.slot_name.clone(), key.label.clone());
        [key.key.0.to_string(), slot, label, key.algorithm.name().to_owned(), allows(key)]
    };
    let text = table(["KEY", "SLOT", "LABEL", "ALGORITHM", "ALLOWS"], keys.iter().map(row));
    Answer::new(text, keys.iter().map(json).collect())
}

fn details(key: &KeyView) -> String {
    let schemes: Vec<&str> = key.schemes.iter().map(|scheme| scheme.name()).collect();
    let facts = facts([
        ("key", key.key.0.to_string()),
        ("slot", key.slot_name.clone()),
        ("label", key.label.clone()),
        ("algorithm", key.algorithm.name().to_owned()),
        ("allows", allows(key)),
        ("schemes", schemes.join(", ")),
    ]);
    format!("{facts}{}", public_pem(key))
}

fn json(key: &KeyView) -> Value {
    let schemes: Vec<&str> = key.schemes.iter().map(|scheme| scheme.name()).collect();
    json!({
        "key": key.key,
        "slot": key.slot,
        "slot_name": key.slot_name,
        "label": key.label,
        "algorithm": key.algorithm.name(),
        "allow": key.allow,
        "general_signer": is_general_signer(key),
        "schemes": schemes,
        "public_key": public_pem(key),
    })
}

/// What must be said wherever such a key is shown.
const GENERAL_SIGNER: &str = " (a general signer: whoever is granted the slot can have anything signed)";

/// What this version does not understand is not called harmless.
fn is_general_signer(key: &KeyView) -> bool {
    Policy::parse(&key.allow).map_or(true, Policy::is_general_signer)
}

fn allows(key: &KeyView) -> String {
    let warning = if is_general_signer(key) { GENERAL_SIGNER } else { "" };
    format!("{}{warning}", key.allow)
}

/// The public half as PEM (RFC 7468 §13).
#[expect(clippy::expect_used, reason = "PEM fails on lengths that overflow a usize; this came in one packet")]
fn public_pem(key: &KeyView) -> String {
    pem_rfc7468::encode_string("PUBLIC KEY", LineEnding::LF, &key.public).expect("a short public key")
}

/// What a server loads instead of the private key.
fn reference(key: &KeyView) -> Result<String, Failure> {
    Ok(KeyReference::new(&key.slot_name, &key.label, key.key, &key.public)?.to_pem()?)
}

/// Writes `pem` to `output`, or answers it.
fn hand_out(what: &str, pem: String, output: Option<&Path>) -> Result<Answer, Failure> {
    let Some(path) = output else {
        let json = json!({ what: pem });
        return Ok(Answer::new(pem, json));
    };
    fs::write(path, &pem).map_err(Failure::file("write", path))?;
    Ok(Answer::new(String::new(), json!({ what: pem, "written": path })))
}

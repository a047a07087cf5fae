//! Keys that OpenSSL made are taken in every form; keys that are weak, inconsistent or no keys are refused by name.

mod files;
mod weak;

use keylane_api::Algorithm;

use super::{KeyRefusal, Material, generate, import};
use crate::os::secret::SecretBytes;

fn import_octets(file: &[u8]) -> Result<Material, KeyRefusal> {
    import(&SecretBytes::copy_from(file).unwrap())
}

#[track_caller]
fn refused(file: &[u8], expected: &KeyRefusal) {
    assert_eq!(import_octets(file).unwrap_err(), *expected);
}

#[test]
fn generated_keys_differ_and_have_a_public_half_that_is_recognised() {
    for algorithm in Algorithm::ALL {
        let [a, b] = [(); 2].map(|()| generate(algorithm).unwrap());
        assert_ne!(a.numbers(), b.numbers());
        assert_eq!(Algorithm::of_public(&a.public_spki()), Some(algorithm));
        assert_eq!(a.numbers().len(), Material::octets(algorithm));
    }
}

#[test]
fn a_generated_rsa_key_is_one_that_would_be_imported() {
    for algorithm in [Algorithm::Rsa2048, Algorithm::Rsa3072] {
        let made = generate(algorithm).unwrap();
        let file = weak::pkcs1(&super::Part::RSA.map(|part| made.part(part).to_vec()));
        assert_eq!(import_octets(&file).unwrap().numbers(), made.numbers());
    }
}

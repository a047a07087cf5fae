//! What a signature costs on the scalar path, and what its check costs: the table of SOUNDNESS, "Cryptography".

use criterion::{Criterion, criterion_group, criterion_main};
use keylane_api::Algorithm;
use keylane_engine::crypto::KeyContext;
use keylane_engine::key::generate;
use keylane_engine::policy::Input;

/// As long as what a TLS 1.3 server signs with a SHA-256 suite.
const MESSAGE: [u8; 130] = [0x5a; 130];
/// Octets of the longest signature.
const SIGNATURE_BYTES_MAX: usize = Algorithm::Rsa4096.signature_bytes();

#[expect(clippy::expect_used, reason = "a benchmark may end by failing")]
fn signatures(criterion: &mut Criterion) {
    for algorithm in Algorithm::ALL {
        let material = generate(algorithm).expect("a key");
        let context = KeyContext::prepare(&material, None).expect("a context");
        let scheme = *algorithm.schemes().last().expect("every algorithm has a scheme");
        let input = Input::Message(&MESSAGE);
        let mut signature = [0; SIGNATURE_BYTES_MAX];
        let mut group = criterion.benchmark_group(format!("{algorithm:?}"));
        group.bench_function("sign", |bencher| {
            bencher.iter(|| context.sign(scheme, input, &mut signature).expect("a signature"));
        });
        group.bench_function("sign and check", |bencher| {
            bencher.iter(|| {
                let unchecked = context.sign(scheme, input, &mut signature).expect("a signature");
                context.check(scheme, input, &signature, unchecked).expect("a right one")
            });
        });
    }
}

criterion_group!(benches, signatures);
criterion_main!(benches);

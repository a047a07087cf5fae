//! Tests of both curves, against aws-lc and against big integers.

mod oracle;
mod signing;

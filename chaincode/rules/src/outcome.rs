//! What a decision on a change gives.

/// A change that was decided, or the same change come again: a client that lost an answer repeats its call, and nothing is written
/// a second time.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<Value, Proof> {
    /// To be saved; the save asks for the proof.
    Decided(Value, Proof),
    /// Was done before, with the same content: this is how it stands.
    Repeated(Value),
}

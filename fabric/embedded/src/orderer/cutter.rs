//! Which transactions go into one block (Fabric: `orderer/common/blockcutter`).

use fabric_protos::common::Envelope;

use crate::config::Batch;

/// Collects envelopes until they are a block.
pub(super) struct Cutter {
    limits: Batch,
    pending: Vec<Envelope>,
    pending_bytes: usize,
}

impl Cutter {
    pub(super) fn new(limits: Batch) -> Self {
        Self { limits, pending: Vec::new(), pending_bytes: 0 }
    }

    /// Takes one more envelope; answers the blocks that it completes, in order.
    pub(super) fn add(&mut self, envelope: Envelope) -> Vec<Vec<Envelope>> {
        let size = envelope.payload.len() + envelope.signature.len();
        let mut blocks = Vec::new();
        if size > self.limits.preferred_max_bytes {
            blocks.extend(self.cut());
            blocks.push(vec![envelope]);
            return blocks;
        }
        if self.pending_bytes + size > self.limits.preferred_max_bytes {
            blocks.extend(self.cut());
        }
        self.pending.push(envelope);
        self.pending_bytes += size;
        if self.pending.len() >= self.limits.max_messages {
            blocks.extend(self.cut());
        }
        blocks
    }

    /// What is pending, if anything, as a block.
    pub(super) fn cut(&mut self) -> Option<Vec<Envelope>> {
        self.pending_bytes = 0;
        (!self.pending.is_empty()).then(|| std::mem::take(&mut self.pending))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cutter(max_messages: usize, preferred_max_bytes: usize) -> Cutter {
        Cutter::new(Batch { max_messages, preferred_max_bytes, ..Batch::default() })
    }

    fn envelope(bytes: usize) -> Envelope {
        Envelope { payload: vec![7; bytes], signature: Vec::new() }
    }

    #[test]
    fn the_last_of_so_many_messages_completes_a_block() {
        let mut cutter = cutter(3, 1000);
        assert!(cutter.add(envelope(1)).is_empty());
        assert!(cutter.add(envelope(1)).is_empty());
        assert_eq!(cutter.add(envelope(1))[0].len(), 3);
        assert!(cutter.is_empty() && cutter.cut().is_none());
    }

    #[test]
    fn a_message_above_the_preferred_size_stands_alone_behind_those_that_waited() {
        let mut cutter = cutter(10, 100);
        cutter.add(envelope(60));
        let blocks = cutter.add(envelope(101));
        assert_eq!(blocks.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(blocks[1][0].payload.len(), 101);
    }

    #[test]
    fn a_message_that_does_not_fit_starts_the_next_block() {
        let mut cutter = cutter(10, 100);
        cutter.add(envelope(60));
        assert_eq!(cutter.add(envelope(60)).len(), 1);
        assert_eq!(cutter.cut().map(|block| block.len()), Some(1));
    }
}

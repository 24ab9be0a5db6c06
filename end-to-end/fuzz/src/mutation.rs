/// Seeds, changed at a few places each: the same changes in each run.
pub struct Mutations {
    seeds: Vec<Vec<u8>>,
    state: u64,
}

/// Bytes at which parsers turn.
const TURNS: &[u8] = &[0, 1, 0x0a, 0x12, 0x1a, 0x20, 0x22, 0x2e, 0x30, 0x3d, 0x5b, 0x7b, 0x7d, 0x7f, 0x80, 0x82, 0xff];
const LONGEST: usize = 16 << 10;

impl Iterator for Mutations {
    type Item = Vec<u8>;

    /// There is always another input.
    fn next(&mut self) -> Option<Vec<u8>> {
        let at = self.below(self.seeds.len());
        let mut bytes = self.seeds[at].clone();
        for _ in 0..=self.below(4) {
            self.change(&mut bytes);
        }
        bytes.truncate(LONGEST);
        Some(bytes)
    }
}

impl Mutations {
    /// Of these seeds, at least one.
    pub fn of(mut seeds: Vec<Vec<u8>>) -> Self {
        seeds.push(Vec::new());
        Self { seeds, state: 0x9e37_79b9_7f4a_7c15 }
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = at + self.below(bytes.len() - at + 1);
        let turn = TURNS[self.below(TURNS.len())];
        match self.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = turn,
            2 => bytes.insert(at, turn),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => {
                let other = self.below(self.seeds.len());
                let other = self.seeds[other].clone();
                let from = self.below(other.len() + 1);
                bytes.splice(at..end, other[from..].iter().copied());
            }
            6 => bytes.truncate(at),
            _ => {
                let noise: Vec<u8> = (0..self.below(9)).map(|_| self.below(256) as u8).collect();
                bytes.splice(at..end, noise);
            }
        }
    }

    /// xorshift64: inputs need no better chance, and the same ones each time.
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % bound as u64) as usize
    }
}

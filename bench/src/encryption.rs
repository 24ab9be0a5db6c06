//! What it costs to encrypt and decrypt records, beside OpenSSL's own program, on one core each, in turn.

use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;
use healthchain_gateway::content::parts::{PART_BYTES, Parts, Place};
use healthchain_gateway::content::{ContentKey, content_hash};

const MEDIA_TYPE: &str = "application/dicom";
const RECORD_BYTES: usize = 64 << 10;

/// Throughput of the encryption of records beside `openssl speed -evp aes-256-gcm`
#[derive(Args)]
pub(crate) struct Options {
    /// Seconds of each round.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Rounds of each.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// What is measured: how much plain text it takes at once, and how.
struct Work<'a> {
    what: &'a str,
    bytes: usize,
    act: Act<'a>,
}

type Act<'a> = Box<dyn Fn(&[u8]) + 'a>;

pub(crate) fn run(options: &Options) {
    let key = ContentKey::generate().unwrap();
    let link = "scan-1".parse().unwrap();
    let parts = Parts::new(&key, MEDIA_TYPE, Place { link: &link, version: 1 }).unwrap();
    let part = parts.seal(0, false, &vec![7; PART_BYTES]).unwrap();
    let record = key.encrypt(MEDIA_TYPE, &vec![7; RECORD_BYTES]).unwrap();
    let works = [
        Work {
            what: "a record of 64 KiB, encrypted",
            bytes: RECORD_BYTES,
            act: Box::new(|plain| drop(key.encrypt(MEDIA_TYPE, plain).unwrap())),
        },
        Work {
            what: "a record of 64 KiB, decrypted",
            bytes: RECORD_BYTES,
            act: Box::new(|_| drop(key.decrypt(&record).unwrap())),
        },
        Work {
            what: "a part of a large record (1 MiB), encrypted",
            bytes: PART_BYTES,
            act: Box::new(|plain| drop(parts.seal(0, false, plain).unwrap())),
        },
        Work {
            what: "such a part, encrypted, hashed and committed to as it is stored",
            bytes: PART_BYTES,
            act: Box::new(|plain| {
                content_hash(&parts.seal(0, false, plain).unwrap());
                key.commitment(plain).unwrap();
            }),
        },
        Work {
            what: "a part of a large record (1 MiB), decrypted",
            bytes: PART_BYTES,
            act: Box::new(|_| drop(parts.open(0, false, &part).unwrap())),
        },
    ];
    println!("| what | MB a second | openssl speed, MB a second | ratio |\n|---|---|---|---|");
    for work in &works {
        let (mut ours, mut theirs) = (0.0, 0.0);
        for _ in 0..options.rounds {
            ours += work.throughput(Duration::from_secs(options.seconds)) / options.rounds as f64;
            theirs += openssl_speed(work.bytes, options.seconds) / options.rounds as f64;
        }
        println!("| {} | {:.0} | {:.0} | {:.2} |", work.what, ours / 1e6, theirs / 1e6, ours / theirs);
    }
}

impl Work<'_> {
    /// Plain bytes a second.
    fn throughput(&self, time: Duration) -> f64 {
        let plain = vec![7; self.bytes];
        let (begun, mut times) = (Instant::now(), 0u32);
        while begun.elapsed() < time {
            (self.act)(&plain);
            times += 1;
        }
        f64::from(times) * self.bytes as f64 / begun.elapsed().as_secs_f64()
    }
}

/// Bytes a second of OpenSSL's own loop over one buffer of this length.
fn openssl_speed(bytes: usize, seconds: u64) -> f64 {
    let mut command = Command::new("openssl");
    command.args(["speed", "-evp", "aes-256-gcm", "-mr", "-elapsed"]);
    let output = command.args(["-bytes", &bytes.to_string(), "-seconds", &seconds.to_string()]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    // The last line for programs: +F:number:name:bytes a second.
    let line = told.lines().find(|line| line.starts_with("+F:")).unwrap_or_else(|| panic!("{told}"));
    line.rsplit(':').next().and_then(|rate| rate.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

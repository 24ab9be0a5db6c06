//! Each target takes some thousands of inputs, the same ones each time.

use healthchain_fuzz::TARGETS;

const INPUTS: u64 = 3000;

#[test]
fn no_parser_of_foreign_bytes_panics_or_takes_what_it_must_not() {
    std::thread::scope(|scope| {
        for target in TARGETS {
            scope.spawn(|| {
                let begun = std::time::Instant::now();
                target.run_times(INPUTS);
                println!("{}: {INPUTS} inputs in {:.1} s", target.name, begun.elapsed().as_secs_f64());
            });
        }
    });
}

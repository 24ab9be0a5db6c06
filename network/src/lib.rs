//! Makes, starts, watches and stops a Healthchain consortium on one machine.

//! Integration tests: real captures with Postgres's own answers, and generated logs with an oracle.

mod captures;
mod generated;
mod support;

//! `obrolan serve`: from the command line to a running server, and to its end.

mod banner;
mod ready;
mod signals;

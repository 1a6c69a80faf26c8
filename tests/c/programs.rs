//! libobrolan as its users have it: installed, found, linked, and in programs in C and C++.

#[path = "support/c.rs"]
mod c;
#[path = "../support/client.rs"]
mod client;
#[path = "support/header.rs"]
mod header;
#[path = "support/home.rs"]
mod home;
#[path = "../support/random.rs"]
mod random;

#[path = "programs/checked.rs"]
mod checked;
#[path = "programs/clients.rs"]
mod clients;
#[path = "programs/docs.rs"]
mod docs;
#[path = "programs/examples.rs"]
mod examples;
#[path = "programs/package.rs"]
mod package;

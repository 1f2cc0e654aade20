//! `doctor`, `doctor-self`, `db-doctor`: what is wrong with the installation, and what to do about it.
//!
//! They look and tell. Nothing is repaired, created or started, and what cannot be told is said to be unknown.

mod check;
mod checkup;
mod installation;
mod ledger;
mod live;
mod own_session;
mod places;
mod terminal;
mod tools;

pub use checkup::{Adoptable, Area, Checkup, Finding, Verdict, checkup};
pub use installation::Doctor;
pub use ledger::DbDoctor;
pub use own_session::DoctorSelf;

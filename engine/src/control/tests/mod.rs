//! The control thread against real sockets, with mailboxes in the place of workers and keeper.

mod admins;
mod bench;
mod hostile;
mod limits;
mod sessions;
mod shutdown;

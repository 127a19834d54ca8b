//! The table `addresses`: where people were found, for the time when nobody can be asked.

use std::net::SocketAddr;

use common::names::UserName;
use rusqlite::{Connection, params};

use super::fault::Fault;

/// What is known now, instead of what was before.
pub(super) fn write(connection: &Connection, user: &UserName, addresses: &[SocketAddr]) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO addresses (person, places) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET places = ?2",
    )?;
    let places: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    statement.execute(params![user.as_str(), places.join(" ")])?;
    Ok(())
}

pub(super) fn load(connection: &Connection) -> Result<Vec<(UserName, Vec<SocketAddr>)>, Fault> {
    let mut statement = connection.prepare("SELECT person, places FROM addresses ORDER BY person")?;
    let mut found = statement.query([])?;
    let mut loaded = Vec::new();
    while let Some(row) = found.next()? {
        let (user, places): (String, String) = (row.get(0)?, row.get(1)?);
        let addresses: Result<_, _> = places.split_whitespace().map(str::parse).collect();
        loaded.push((UserName::parse(&user).map_err(|_| Fault::Damaged)?, addresses.map_err(|_| Fault::Damaged)?));
    }
    Ok(loaded)
}

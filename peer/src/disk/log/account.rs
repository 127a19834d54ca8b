//! The tables `account`, `pins`, `held` and `prekeys`: whose log it is and with which certificate, the keys of others and
//! what waits for a decision about one, and what mail is sealed to.

use common::ids::{ChainId, IdentityKey, MailSalt, RealmId};
use common::names::UserName;
use common::secure::certificate::Certificate;
use common::secure::sign::Signed;
use common::time::UnixMillis;
use common::wire::codec;
use rusqlite::{Connection, params};

use super::fault::Fault;
use super::rows::{self, column};
use crate::ports::{Claimant, HeldMail, Pin, StoredPrekey};

/// Says whose a new log is.
pub(super) fn create(connection: &Connection, realm: &RealmId, user: &UserName, chain: &ChainId) -> Result<(), Fault> {
    connection.execute(
        "INSERT INTO account (one, realm, user, chain) VALUES (1, ?1, ?2, ?3)",
        params![realm.as_bytes(), user.as_str(), chain.as_bytes()],
    )?;
    Ok(())
}

/// The chain of the log, if it is this account's.
pub(super) fn load(connection: &Connection, realm: &RealmId, user: &UserName) -> Result<ChainId, Fault> {
    let row = connection.query_row("SELECT realm, user, chain FROM account", [], |row| {
        Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
    });
    let (owner, name, chain) = match row {
        Err(rusqlite::Error::QueryReturnedNoRows) => return Err(Fault::Damaged),
        row => row?,
    };
    if RealmId(owner) != *realm || name != user.as_str() {
        return Err(Fault::OtherAccount);
    }
    Ok(ChainId(chain))
}

/// The chain for new events is another one from now on.
pub(super) fn write_chain(connection: &Connection, chain: &ChainId) -> Result<(), Fault> {
    connection.execute("UPDATE account SET chain = ?1", params![chain.as_bytes()])?;
    Ok(())
}

/// The newest certificate of this account.
pub(super) fn write_certificate(connection: &Connection, certificate: &Signed<Certificate>) -> Result<(), Fault> {
    connection.execute("UPDATE account SET certificate = ?1", params![codec::encode(certificate)])?;
    Ok(())
}

pub(super) fn load_certificate(connection: &Connection) -> Result<Option<Box<Signed<Certificate>>>, Fault> {
    let stored: Option<Vec<u8>> = connection.query_row("SELECT certificate FROM account", [], |row| row.get(0))?;
    Ok(stored.map(|bytes| codec::decode(&bytes)).transpose()?.map(Box::new))
}

/// The newest word on a name.
pub(super) fn write_pin(connection: &Connection, pin: &Pin) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO pins (person, identity, credentials, blocked_by, verified, accepted, shown)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE
         SET identity = ?2, credentials = ?3, blocked_by = ?4, verified = ?5, accepted = ?6, shown = ?7",
    )?;
    let claimant = pin.blocked_by.as_ref();
    statement.execute(params![
        pin.user.as_str(),
        pin.identity.as_bytes(),
        codec::encode(&pin.credentials),
        claimant.map(|claimant| claimant.identity.as_bytes()),
        pin.verified,
        pin.accepted.map(|at| column(at.0)),
        claimant.and_then(|claimant| claimant.credentials.as_deref()).map(codec::encode),
    ])?;
    Ok(())
}

pub(super) fn load_pins(connection: &Connection) -> Result<Vec<Pin>, Fault> {
    let mut statement = connection.prepare(
        "SELECT person, identity, credentials, blocked_by, verified, accepted, shown FROM pins ORDER BY person",
    )?;
    let mut found = statement.query([])?;
    let mut pins = Vec::new();
    while let Some(row) = found.next()? {
        let user: String = row.get(0)?;
        let shown: Option<Vec<u8>> = row.get(6)?;
        let credentials = shown.map(|bytes| codec::decode(&bytes)).transpose()?.map(Box::new);
        let claimant = |identity| Claimant { identity: IdentityKey(identity), credentials };
        pins.push(Pin {
            user: UserName::parse(&user).map_err(|_| Fault::Damaged)?,
            identity: IdentityKey(row.get(1)?),
            credentials: codec::decode(&row.get::<_, Vec<u8>>(2)?)?,
            verified: row.get(4)?,
            accepted: row.get::<_, Option<i64>>(5)?.map(rows::number).transpose()?.map(UnixMillis),
            blocked_by: row.get::<_, Option<[u8; 32]>>(3)?.map(claimant),
        });
    }
    Ok(pins)
}

pub(super) fn write_held(connection: &Connection, held: &HeldMail) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO held (number, person, identity, at, content) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
    )?;
    let HeldMail { number, user, key, at, content } = held;
    statement.execute(params![column(*number), user.as_str(), key.as_bytes(), column(at.0), content])?;
    Ok(())
}

pub(super) fn forget_held(connection: &Connection, number: u64) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM held WHERE number = ?1")?.execute([column(number)])?;
    Ok(())
}

pub(super) fn load_held(connection: &Connection) -> Result<Vec<HeldMail>, Fault> {
    let mut statement = connection.prepare("SELECT number, person, identity, at, content FROM held ORDER BY number")?;
    let mut found = statement.query([])?;
    let mut held = Vec::new();
    while let Some(row) = found.next()? {
        let user: String = row.get(1)?;
        held.push(HeldMail {
            number: rows::number(row.get(0)?)?,
            user: UserName::parse(&user).map_err(|_| Fault::Damaged)?,
            key: IdentityKey(row.get(2)?),
            at: UnixMillis(rows::number(row.get(3)?)?),
            content: row.get(4)?,
        });
    }
    Ok(held)
}

pub(super) fn write_prekey(connection: &Connection, prekey: &StoredPrekey) -> Result<(), Fault> {
    let mut statement = connection
        .prepare_cached("INSERT INTO prekeys (number, at, salt) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    statement.execute(params![prekey.number, column(prekey.at.0), prekey.salt.as_bytes()])?;
    Ok(())
}

pub(super) fn forget_prekey(connection: &Connection, number: u32) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM prekeys WHERE number = ?1")?.execute([number])?;
    Ok(())
}

pub(super) fn load_prekeys(connection: &Connection) -> Result<Vec<StoredPrekey>, Fault> {
    let mut statement = connection.prepare("SELECT number, at, salt FROM prekeys ORDER BY number")?;
    let mut found = statement.query([])?;
    let mut prekeys = Vec::new();
    while let Some(row) = found.next()? {
        let (at, salt) = (UnixMillis(rows::number(row.get(1)?)?), MailSalt(row.get(2)?));
        prekeys.push(StoredPrekey { number: row.get(0)?, at, salt });
    }
    Ok(prekeys)
}

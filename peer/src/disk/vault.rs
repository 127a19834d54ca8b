//! Carries out what the node asks of passwords and sealed keys. The engine calls [`run`] on a thread of its own for
//! each job, one at a time for an account: stretching a password takes some hundred milliseconds on purpose.
//!
//! In an account's folder `keys` are the keys the registry knows, `keys.new` what was sealed last and is not yet
//! confirmed, and `keys.old-N` earlier ones that were never answered. Only an answer of the registry removes any of
//! them, and whichever the password opens wins, of keys and those that follow them both: no crash locks anybody out.

use std::path::{Path, PathBuf};

use common::ids::RealmId;
use common::limits::ROTATIONS_MAX;
use common::names::UserName;
use common::secret::Secret;
use common::secure::identity::{KEYS_BYTES, Keys};
use common::secure::password::auth_key;
use zeroize::Zeroize;

use super::files;
use super::profile::Profile;
use super::sealed::{self, Cost};
use crate::ports::{DiskError, VaultJob, VaultReply};

/// Does one job, whole. Blocks; what goes wrong is in the reply.
pub fn run(profile: &Profile, job: VaultJob) -> VaultReply {
    run_at(profile, job, Cost::STRONG)
}

/// `cost` is for what is sealed now; every file names its own.
fn run_at(profile: &Profile, job: VaultJob, cost: Cost) -> VaultReply {
    let account = |realm, user| Account { folder: profile.account(&realm, &user), realm, user, cost };
    let done = match job {
        VaultJob::Open { realm, user, password } => account(realm, user).open_or_make(&password),
        VaultJob::Derive { realm, user, password } => {
            Ok(VaultReply::Derived { auth: auth_key(&password, &realm, &user) })
        }
        VaultJob::Confirm { realm, user } => account(realm, user).confirm(),
        VaultJob::Discard { realm, user } => account(realm, user).discard(),
        VaultJob::Reseal { realm, user, old, new } => account(realm, user).reseal(&old, &new),
        VaultJob::Succeed { realm, user, password } => account(realm, user).succeed(&password),
    };
    done.unwrap_or_else(|error| VaultReply::Failed { text: error.text })
}

/// One account's folder.
struct Account {
    folder: PathBuf,
    realm: RealmId,
    user: UserName,
    cost: Cost,
}

/// A file the password opened.
struct Found {
    path: PathBuf,
    keys: Keys,
}

impl Account {
    fn open_or_make(&self, password: &Secret<String>) -> Result<VaultReply, DiskError> {
        files::create_folder(&self.folder)?;
        let confirmed = files::exists(&self.known())?;
        let (keys, next) = match self.find(password)? {
            Some(found) if confirmed => self.line(found, password)?,
            Some(found) => {
                if !confirmed && found.path != self.latest() {
                    // An earlier sign-up comes back: it is the one an answer will now be about.
                    self.set_latest_aside()?;
                    files::rename(&found.path, &self.latest())?;
                }
                (found.keys, None)
            }
            None if confirmed => return Ok(VaultReply::WrongPassword),
            None => {
                let keys = new_keys()?;
                self.seal_as_latest(&keys, password)?;
                (keys, None)
            }
        };
        Ok(VaultReply::Opened { keys: Box::new(keys), confirmed, next: next.map(Box::new) })
    }

    fn confirm(&self) -> Result<VaultReply, DiskError> {
        if files::exists(&self.latest())? {
            // Others first: beside confirmed keys, those of an unanswered sign-up would pass for them.
            for (_, path) in self.set_aside()? {
                files::remove(&path)?;
            }
            files::rename(&self.latest(), &self.known())?;
        }
        Ok(VaultReply::Confirmed)
    }

    fn discard(&self) -> Result<VaultReply, DiskError> {
        files::remove(&self.latest())?;
        Ok(VaultReply::Discarded)
    }

    fn reseal(&self, old: &Secret<String>, new: &Secret<String>) -> Result<VaultReply, DiskError> {
        let Some(found) = self.find(old)? else { return Ok(VaultReply::WrongPassword) };
        self.seal_as_latest(&found.keys, new)?;
        let auth = |password| auth_key(password, &self.realm, &self.user);
        Ok(VaultReply::Resealed { old: auth(old), new: auth(new) })
    }

    /// New keys that follow the present ones lie beside them until the registry has taken them, which destroys these.
    fn succeed(&self, password: &Secret<String>) -> Result<VaultReply, DiskError> {
        let Some(found) = self.find(password)? else { return Ok(VaultReply::WrongPassword) };
        let (keys, _) = self.line(found, password)?;
        let Some(next) = keys.succeeded_by(&new_seed()?) else { return Ok(no_more_keys()) };
        self.seal_as_latest(&next, password)?;
        Ok(VaultReply::Succeeded { keys: Box::new(next) })
    }

    /// Of everything that the password opens, the first keys of the line that `found` is in, and the last ones if those
    /// are others.
    fn line(&self, found: Found, password: &Secret<String>) -> Result<(Keys, Option<Keys>), DiskError> {
        let (mut first, mut last) = (found.keys, None::<Keys>);
        let aside = self.set_aside()?.into_iter().map(|(_, path)| path);
        for path in [self.latest()].into_iter().chain(aside).filter(|path| *path != found.path) {
            let Some(keys) = self.opened(&path, password)? else { continue };
            if first.succeed(&keys) {
                last.get_or_insert(std::mem::replace(&mut first, keys));
            } else if keys.succeed(last.as_ref().unwrap_or(&first)) {
                last = Some(keys);
            }
        }
        Ok((first, last))
    }

    /// The first file that the password opens: the confirmed one, then the others from the newest on. A file that is
    /// damaged or not ours is an error even if another would open: somebody should look at it.
    fn find(&self, password: &Secret<String>) -> Result<Option<Found>, DiskError> {
        let aside = self.set_aside()?.into_iter().map(|(_, path)| path);
        for path in [self.known(), self.latest()].into_iter().chain(aside) {
            if let Some(keys) = self.opened(&path, password)? {
                return Ok(Some(Found { path, keys }));
            }
        }
        Ok(None)
    }

    /// The keys in a file, if there is one and this is its password.
    fn opened(&self, path: &Path, password: &Secret<String>) -> Result<Option<Keys>, DiskError> {
        let Some(file) = files::read_bounded(path, sealed::FILE_BYTES_MAX as u64)? else { return Ok(None) };
        sealed::open(&file, password, (&self.realm, &self.user)).map_err(|reason| unusable(path, reason))
    }

    fn seal_as_latest(&self, keys: &Keys, password: &Secret<String>) -> Result<(), DiskError> {
        let (salt, nonce) = (random()?, random()?);
        let file = sealed::seal(keys, password, (&self.realm, &self.user), self.cost, salt, nonce);
        self.set_latest_aside()?;
        Ok(files::write_private(&self.latest(), &file)?)
    }

    /// Makes room for a newer `keys.new`. The registry may have taken the present one and only its answer was lost.
    fn set_latest_aside(&self) -> Result<(), DiskError> {
        if !files::exists(&self.latest())? {
            return Ok(());
        }
        let aside = self.set_aside()?;
        let number = aside.first().map_or(1, |(newest, _)| newest + 1);
        files::rename(&self.latest(), &self.folder.join(format!("{ASIDE}{number}")))?;
        for (_, path) in aside.iter().skip(ASIDE_MAX - 1) {
            files::remove(path)?;
        }
        Ok(())
    }

    /// What was set aside, with its number, from the newest on.
    fn set_aside(&self) -> Result<Vec<(u64, PathBuf)>, DiskError> {
        if !files::exists(&self.folder)? {
            return Ok(Vec::new());
        }
        let mut aside: Vec<(u64, PathBuf)> = files::names_in(&self.folder)?
            .iter()
            .filter_map(|name| Some((name.strip_prefix(ASIDE)?.parse().ok()?, self.folder.join(name))))
            .collect();
        aside.sort_unstable_by(|one, other| other.cmp(one));
        Ok(aside)
    }

    fn known(&self) -> PathBuf {
        self.folder.join("keys")
    }

    fn latest(&self) -> PathBuf {
        self.folder.join("keys.new")
    }
}

fn new_keys() -> Result<Keys, DiskError> {
    Ok(Keys::from_seed(&new_seed()?))
}

fn new_seed() -> Result<Secret<[u8; KEYS_BYTES]>, DiskError> {
    let mut seed: [u8; KEYS_BYTES] = random()?;
    let secret = Secret::new(seed);
    seed.zeroize();
    Ok(secret)
}

fn no_more_keys() -> VaultReply {
    VaultReply::Failed { text: format!("An identity has at most {} keys, one after the other.", ROTATIONS_MAX + 1) }
}

fn random<const N: usize>() -> Result<[u8; N], DiskError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| DiskError { text: format!("Can't get random bytes from the system: {error}.") })?;
    Ok(bytes)
}

fn unusable(path: &Path, reason: sealed::NotOurs) -> DiskError {
    DiskError {
        text: format!(
            "Can't use the keys in {}: {reason}. The file was left as it is: put a good copy in its place.",
            path.display()
        ),
    }
}

const ASIDE: &str = "keys.old-";

/// Unanswered ones that are kept. Each costs another stretching when a password is wrong.
const ASIDE_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const REALM: RealmId = RealmId([7; 32]);
    const CHEAP: Cost = Cost { memory_kib: 8, passes: 1 };

    struct Desk {
        profile: Profile,
        _folder: tempfile::TempDir,
    }

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn alice() -> UserName {
        UserName::parse("alice").unwrap()
    }

    impl Desk {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self { profile: Profile::open(folder.path()).unwrap(), _folder: folder }
        }

        fn run(&self, job: VaultJob) -> VaultReply {
            run_at(&self.profile, job, CHEAP)
        }

        fn open(&self, password: &str) -> VaultReply {
            self.run(VaultJob::Open { realm: REALM, user: alice(), password: secret(password) })
        }

        /// The seed that opens, and whether it is confirmed.
        fn opened(&self, password: &str) -> (Vec<u8>, bool) {
            match self.open(password) {
                VaultReply::Opened { keys, confirmed, .. } => (keys.to_seed().expose().to_vec(), confirmed),
                other => panic!("{password} does not open: {other:?}"),
            }
        }

        fn confirm(&self) {
            let reply = self.run(VaultJob::Confirm { realm: REALM, user: alice() });
            assert!(matches!(reply, VaultReply::Confirmed), "{reply:?}");
        }

        fn discard(&self) {
            let reply = self.run(VaultJob::Discard { realm: REALM, user: alice() });
            assert!(matches!(reply, VaultReply::Discarded), "{reply:?}");
        }

        fn reseal(&self, old: &str, new: &str) -> VaultReply {
            self.run(VaultJob::Reseal { realm: REALM, user: alice(), old: secret(old), new: secret(new) })
        }

        fn succeed(&self, password: &str) -> VaultReply {
            self.run(VaultJob::Succeed { realm: REALM, user: alice(), password: secret(password) })
        }

        /// The seed of new keys that follow those that a password opens.
        fn succeeded(&self, password: &str) -> Vec<u8> {
            match self.succeed(password) {
                VaultReply::Succeeded { keys } => keys.to_seed().expose().to_vec(),
                other => panic!("{password} makes no keys: {other:?}"),
            }
        }

        /// The seed that opens, and the seed of what follows.
        fn line(&self, password: &str) -> (Vec<u8>, Option<Vec<u8>>) {
            match self.open(password) {
                VaultReply::Opened { keys, confirmed: true, next } => {
                    let seed = |keys: &Keys| keys.to_seed().expose().to_vec();
                    (seed(&keys), next.map(|next| seed(&next)))
                }
                other => panic!("{password} does not open: {other:?}"),
            }
        }

        fn folder(&self) -> PathBuf {
            self.profile.account(&REALM, &alice())
        }

        fn files(&self) -> Vec<String> {
            let mut names = files::names_in(&self.folder()).unwrap();
            names.sort_unstable();
            names
        }
    }

    #[test]
    fn a_sign_up_is_confirmed_and_then_wants_its_password() {
        let desk = Desk::new();
        let (seed, confirmed) = desk.opened("first");
        assert!(!confirmed);
        assert_eq!(desk.opened("first"), (seed.clone(), false), "repeating a sign-up shows the same keys");
        desk.confirm();
        desk.confirm();
        assert_eq!(desk.opened("first"), (seed, true));
        assert!(matches!(desk.open("other"), VaultReply::WrongPassword));
        assert_eq!(desk.files(), ["keys"]);
    }

    #[test]
    #[cfg(unix)]
    fn keys_are_private() {
        let desk = Desk::new();
        desk.opened("first");
        assert_eq!(files::tests::mode(&desk.folder().join("keys.new")), 0o600);
        let above = desk.folder().ancestors().take(3).map(files::tests::mode).collect::<Vec<_>>();
        assert_eq!(above, [0o700; 3]);
    }

    #[test]
    fn a_refused_sign_up_leaves_nothing() {
        let desk = Desk::new();
        let (seed, _) = desk.opened("first");
        desk.discard();
        desk.discard();
        assert!(desk.files().is_empty());
        assert_ne!(desk.opened("first").0, seed);
    }

    #[test]
    fn a_lost_answer_and_a_mistyped_password_lose_no_account() {
        let desk = Desk::new();
        let (taken, _) = desk.opened("first");
        // The registry took it, but the answer never came; then the password is mistyped and refused.
        let (mistyped, confirmed) = desk.opened("frist");
        assert!(!confirmed && mistyped != taken);
        desk.discard();
        assert_eq!(desk.opened("first"), (taken.clone(), false));
        assert_eq!(desk.files(), ["keys.new"], "it is the one to be confirmed again");
        // The same without the refusal.
        desk.opened("frist");
        assert_eq!(desk.opened("first"), (taken.clone(), false));
        desk.confirm();
        assert_eq!(desk.files(), ["keys"]);
        assert_eq!(desk.opened("first"), (taken, true));
    }

    #[test]
    fn unanswered_sign_ups_do_not_pile_up() {
        let desk = Desk::new();
        for attempt in 0..10 {
            desk.opened(&format!("password {attempt}"));
        }
        assert_eq!(desk.files().len(), 1 + ASIDE_MAX);
        let (seed, _) = desk.opened("password 6");
        desk.confirm();
        assert_eq!(desk.opened("password 6"), (seed, true));
    }

    #[test]
    fn a_new_password_counts_once_confirmed_and_not_once_discarded() {
        let desk = Desk::new();
        let (seed, _) = desk.opened("first");
        desk.confirm();
        assert!(matches!(desk.reseal("wrong", "second"), VaultReply::WrongPassword));
        assert_eq!(desk.files(), ["keys"]);
        let VaultReply::Resealed { old, new } = desk.reseal("first", "second") else { panic!("not resealed") };
        let derived = |password| {
            let job = VaultJob::Derive { realm: REALM, user: alice(), password: secret(password) };
            let VaultReply::Derived { auth } = desk.run(job) else { panic!("not derived") };
            *auth.expose()
        };
        assert_eq!((*old.expose(), *new.expose()), (derived("first"), derived("second")));
        desk.discard();
        assert!(matches!(desk.open("second"), VaultReply::WrongPassword));
        desk.reseal("first", "third");
        desk.confirm();
        assert!(matches!(desk.open("first"), VaultReply::WrongPassword));
        assert_eq!(desk.opened("third"), (seed, true));
        assert_eq!(desk.files(), ["keys"]);
    }

    #[test]
    fn a_crash_while_the_password_changes_locks_nobody_out() {
        // Whatever the registry believes after a crash, each password it may know opens, after any further attempt.
        let desk = Desk::new();
        let (seed, _) = desk.opened("first");
        desk.confirm();
        desk.reseal("first", "second");
        for password in ["first", "second"] {
            assert_eq!(desk.opened(password), (seed.clone(), true));
        }
        // The next change may be asked for with either, and may itself be cut off or refused.
        for (old, new) in [("first", "third"), ("second", "fourth")] {
            assert!(matches!(desk.reseal(old, new), VaultReply::Resealed { .. }));
        }
        desk.discard();
        for password in ["first", "second", "third"] {
            assert_eq!(desk.opened(password), (seed.clone(), true));
        }
        desk.reseal("second", "fifth");
        desk.confirm();
        assert_eq!(desk.opened("fifth"), (seed, true));
        assert!(matches!(desk.open("second"), VaultReply::WrongPassword));
        assert_eq!(desk.files(), ["keys"]);
    }

    #[test]
    fn keys_that_follow_lie_beside_the_others_until_confirmed() {
        let desk = Desk::new();
        let (seed, _) = desk.opened("first");
        desk.confirm();
        assert!(matches!(desk.succeed("wrong"), VaultReply::WrongPassword));
        let next = desk.succeeded("first");
        // Whatever the registry knows after a crash, both are there; and again after it was asked for once more.
        assert_eq!(desk.line("first"), (seed.clone(), Some(next)));
        let other = desk.succeeded("first");
        assert_eq!(desk.line("first"), (seed.clone(), Some(other.clone())));
        desk.confirm();
        assert_eq!(desk.line("first"), (other.clone(), None));
        assert_eq!(desk.files(), ["keys"], "the old ones are destroyed");
        desk.succeeded("first");
        desk.discard();
        assert_eq!(desk.line("first"), (other, None));
    }

    #[test]
    fn keys_that_follow_are_found_whatever_became_of_the_password() {
        let desk = Desk::new();
        let (seed, _) = desk.opened("first");
        desk.confirm();
        // The registry took the new password, and its answer was lost.
        desk.reseal("first", "second");
        let next = desk.succeeded("second");
        assert_eq!(desk.line("second"), (seed.clone(), Some(next.clone())));
        assert_eq!(desk.line("first"), (seed, None));
        desk.confirm();
        assert_eq!(desk.line("second"), (next, None));
    }

    #[test]
    fn half_written_keys_are_as_if_never_written() {
        let desk = Desk::new();
        let (seed, _) = desk.opened("first");
        desk.confirm();
        fs::write(desk.folder().join(".keys.new.part"), b"P2C-KEYS").unwrap();
        assert_eq!(desk.opened("first"), (seed, true));
        assert!(matches!(desk.reseal("first", "second"), VaultReply::Resealed { .. }));
    }

    #[test]
    fn damaged_and_foreign_keys_are_refused_and_kept() {
        for name in ["keys", "keys.new"] {
            let desk = Desk::new();
            desk.opened("first");
            if name == "keys" {
                desk.confirm();
            }
            let path = desk.folder().join(name);
            let good = fs::read(&path).unwrap();
            let mut flipped = good.clone();
            *flipped.last_mut().unwrap() ^= 1;
            for content in [&b""[..], b"something else", &good[..50], &flipped, &[0; 5000]] {
                fs::write(&path, content).unwrap();
                let reply = desk.open("first");
                assert!(matches!(&reply, VaultReply::Failed { text } if text.contains("left as it is")), "{reply:?}");
                assert!(matches!(desk.reseal("first", "second"), VaultReply::Failed { .. }));
                assert_eq!(fs::read(&path).unwrap(), content);
                assert_eq!(desk.files(), [name]);
            }
        }
    }
}

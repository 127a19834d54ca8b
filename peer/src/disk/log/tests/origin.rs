//! When a log goes on with its chain, and when what is said next must not be taken for what others hold already.

use std::process::Command;

use super::*;

const FRESH: ChainId = ChainId([99; 16]);

impl Desk {
    /// Opens it as a later start of the program does: with a chain of its own to offer.
    fn later(&self) -> (Log, LoadedLog) {
        Log::open(self.folder.path(), &REALM, &name("alice"), &FRESH).unwrap()
    }

    /// What the program finds when it starts and ends well.
    fn look(&self) -> (ChainId, bool) {
        let (log, loaded) = self.later();
        log.close();
        (loaded.chain, loaded.is_copy)
    }

    /// Says a line and is killed.
    fn say_and_die(&self, number: u64, survives: Survives) {
        let (mut log, _) = self.later();
        log.commit([&[own(mine(number), &[BOB])][..]].into_iter(), survives).unwrap();
        std::mem::forget(log);
    }

    /// A copy as an administrator makes it, in a folder of its own.
    fn copied(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_over(self.folder.path(), copy.path());
        copy
    }
}

fn copy_over(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(copied.success());
}

const KEPT: (ChainId, bool) = (MINE, false);
const A_COPY: (ChainId, bool) = (FRESH, true);

#[test]
fn a_log_that_was_closed_goes_on() {
    let desk = Desk::with_bob();
    for number in 1..4 {
        desk.write(&[own(mine(number), &[BOB])]);
        assert_eq!(desk.look(), KEPT);
    }
}

#[test]
fn a_killed_program_loses_no_line_and_keeps_the_chain() {
    let desk = Desk::with_bob();
    desk.say_and_die(1, Survives::Program);
    desk.say_and_die(2, Survives::Machine);
    desk.say_and_die(3, Survives::Program);
    let (log, loaded) = desk.later();
    assert_eq!((loaded.chain, loaded.is_copy, loaded.conversations[0].own[0].number), (MINE, false, 3));
    log.close();
    assert_eq!(desk.look(), KEPT);
}

#[test]
fn a_machine_that_stopped_begins_another_chain_without_a_word() {
    let desk = Desk::with_bob();
    desk.say_and_die(1, Survives::Program);
    sql(&desk.path(), "UPDATE opened SET boot = 'the run before'");
    assert_eq!(desk.look(), (FRESH, false));
    assert_eq!(desk.look().0, FRESH, "kept from then on");
    sql(&desk.path(), "UPDATE opened SET boot = 'the run before'");
    Origin::leave_word(&desk.path()).unwrap();
    assert_eq!(desk.look(), (FRESH, false), "closed before the machine stopped: nothing can be lost");
}

#[test]
fn a_copy_of_the_folder_begins_another_chain() {
    for is_closed in [true, false] {
        let desk = Desk::with_bob();
        if !is_closed {
            desk.say_and_die(1, Survives::Machine);
        }
        let beside = Desk { folder: desk.copied() };
        assert_eq!(beside.look(), A_COPY);
        assert_eq!(beside.look(), (FRESH, false), "told once");
        assert_eq!(desk.look(), KEPT, "what was copied goes on");
    }
}

#[test]
fn an_older_copy_put_in_place_begins_another_chain() {
    type PutBack = fn(&Path, &Path);
    let ways: [PutBack; 2] = [copy_over, |copy, place| {
        fs::remove_dir_all(place).unwrap();
        fs::create_dir(place).unwrap();
        copy_over(copy, place);
    }];
    for put_back in ways {
        let desk = Desk::with_bob();
        let copy = desk.copied();
        desk.write(&[own(mine(1), &[BOB])]);
        put_back(copy.path(), desk.folder.path());
        assert_eq!(desk.look(), A_COPY);
    }
}

#[test]
fn a_copy_made_while_the_log_was_open_is_noticed_in_its_place() {
    let desk = Desk::with_bob();
    let (log, _) = desk.later();
    let copy = desk.copied();
    log.close();
    copy_over(copy.path(), desk.folder.path());
    assert_eq!(desk.look(), A_COPY);
}

#[test]
fn a_log_of_a_program_that_left_no_word_goes_on() {
    let desk = Desk::with_bob();
    sql(&desk.path(), "DELETE FROM opened");
    fs::remove_file(with_suffix(&desk.path(), ".closed")).unwrap();
    assert_eq!(desk.look(), KEPT);
}

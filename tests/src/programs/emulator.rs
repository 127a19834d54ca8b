//! A terminal emulator's memory of what was done to it besides showing text, and an eye for the sequences in what a
//! program wrote.

use vt100::{Callbacks, Screen};

/// What text alone never does: title, clipboard, size, and whatever else begins with OSC.
#[derive(Debug, Default)]
pub struct Deeds(Vec<String>);

impl Deeds {
    pub fn list(&self) -> &[String] {
        &self.0
    }

    fn note(&mut self, what: &str, detail: &[u8]) {
        self.0.push(format!("{what} {:?}", String::from_utf8_lossy(detail)));
    }
}

impl Callbacks for Deeds {
    fn resize(&mut self, _: &mut Screen, request: (u16, u16)) {
        self.note("size", format!("{request:?}").as_bytes());
    }

    fn set_window_icon_name(&mut self, _: &mut Screen, name: &[u8]) {
        self.note("icon", name);
    }

    fn set_window_title(&mut self, _: &mut Screen, title: &[u8]) {
        self.note("title", title);
    }

    fn copy_to_clipboard(&mut self, _: &mut Screen, _: &[u8], data: &[u8]) {
        self.note("clipboard", data);
    }

    fn paste_from_clipboard(&mut self, _: &mut Screen, kind: &[u8]) {
        self.note("clipboard is asked", kind);
    }

    fn unhandled_osc(&mut self, _: &mut Screen, parameters: &[&[u8]]) {
        self.note("OSC", &parameters.concat());
    }
}

/// Every escape sequence in `text`, of one character or of CSI up to its final one, and every other control character
/// but newlines; bytes of eight bits that stand for an escape included.
pub fn controls(text: &str) -> Vec<String> {
    let mut controls = Vec::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c == '\u{1b}' {
            let mut sequence = String::from("ESC ");
            let mut is_csi = false;
            for c in characters.by_ref() {
                sequence.push(c);
                is_csi |= sequence == "ESC [";
                if !is_csi || (sequence.len() > 5 && ('@'..='~').contains(&c)) {
                    break;
                }
            }
            controls.push(sequence);
        } else if c != '\n' && (c.is_control() || hides(c)) {
            controls.push(format!("U+{:04X}", u32::from(c)));
        }
    }
    controls
}

/// What turns the writing direction, breaks a line, takes no room, or tags a text that nobody sees.
fn hides(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

//! Texts that took over a screen or a clipboard somewhere, hid from whoever looked, or spoke in another's name. Every
//! way to a person's eyes is tried with them: fuzzers start from them, tests put them into whatever others can say.

/// One of each.
pub fn attacks() -> Vec<String> {
    let tower = format!("o{}", "\u{301}".repeat(200));
    ATTACKS.iter().map(|&attack| attack.to_owned()).chain([tower]).collect()
}

const ATTACKS: &[&str] = &[
    // Titles, the clipboard, a link that leads elsewhere.
    "\u{1b}]0;owned\u{7}",
    "\u{1b}]2;owned\u{1b}\\",
    "\u{1b}]52;c;b3duZWQ=\u{7}",
    "\u{1b}]8;;http://192.0.2.1\u{7}owned\u{1b}]8;;\u{7}",
    // The screen, its colours and modes, what a terminal answers as if it had been typed; the same in C1.
    "\u{1b}[2J\u{1b}[H",
    "\u{1b}[41mred",
    "\u{1b}[1;4;7mloud",
    "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?1h\u{1b}=",
    "\u{1b}c\u{1b}7\u{1b}8\u{1b}M\u{e}\u{f}",
    "\u{1b}P0;1|17/61\u{1b}\\\u{1b}[6n\u{1b}[5i\u{1b}[8;5;5t",
    "\u{9b}41m\u{9d}0;owned\u{9c}\u{90}q\u{9c}",
    // Single controls.
    "x\u{b}\u{c}\u{8}\u{8}\u{8}\0\u{7f}",
    // Overrides and isolates of the writing direction, and marks of it.
    "\u{202e}drow\u{202c} \u{202d}x\u{202a}y\u{202b}z",
    "\u{2066}x\u{2067}y\u{2068}z\u{2069} \u{61c}\u{200e}\u{200f}",
    // Nothing to be seen: of no width, tags, selectors, blank letters.
    "a\u{200b}b\u{200c}c\u{200d}d\u{feff}e\u{2060}f\u{ad}",
    "\u{e0001}\u{e006f}\u{e0077}\u{e007f}",
    "\u{fe01}\u{3164}\u{115f}\u{fff9}\u{180e}",
    // Lines of somebody else.
    "x\u{2028}<alice> forged\u{2029}y",
    "x\n<alice> forged",
    "x\r<alice> forged",
    "x\r\n14:03 <alice> forged",
    "x\u{85}<alice> forged",
    "\n14:03 #dev <alice> forged",
];

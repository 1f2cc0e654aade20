//! Markdown as lines of a terminal: headings, lists, code, quotes, tables; links as their text and address.
//!
//! The text is a model's and may be hostile or no Markdown at all. What is not understood is shown as it stands, and
//! characters that only come into being here (`&#27;`) are cleaned like all others.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use ratatui::{
    style::{Modifier, Style},
    text::Line,
};
use unicode_width::UnicodeWidthStr as _;

use super::{
    flow::{Break, Lead, Piece, flow},
    keymap::Key,
    theme::{Glyphs, Part, Theme},
};
use crate::base::text::is_unsafe;

/// How text is set.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    /// The styles.
    pub theme: Theme,
    /// The signs.
    pub glyphs: Glyphs,
    /// Columns.
    pub width: usize,
    /// The key that opens what is folded.
    pub opens: Option<Key>,
}

impl Paint {
    /// The style of a part.
    #[must_use]
    pub fn style(self, part: Part) -> Style {
        self.theme.style(part)
    }
}

/// `text` in lines of at most `paint.width` columns; plain words have the style `base`.
#[must_use]
pub fn lines(text: &str, base: Style, paint: Paint) -> Vec<Line<'static>> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let parser = Parser::new_ext(text, options);
    // Addresses at the end of a text are part of it, whether something refers to them or not.
    let mut references: Vec<_> =
        parser.reference_definitions().iter().map(|(label, link)| (link.span.start, label, &link.dest)).collect();
    references.sort_unstable_by_key(|(start, _, _)| *start);
    let references: Vec<String> =
        references.iter().map(|(_, label, address)| format!("[{label}]: {address}")).collect();
    let mut page = Page::new(base, paint);
    for event in parser {
        page.take(event);
    }
    page.flush();
    for reference in references {
        page.push(paint.style(Part::Dim), &reference);
        page.flush();
    }
    page.lines
}

/// What stands before the lines of a quote or of an item.
struct Block {
    first: String,
    rest: String,
    begun: bool,
}

struct Page {
    paint: Paint,
    lines: Vec<Line<'static>>,
    /// Of the line that is being set.
    pieces: Vec<Piece>,
    styles: Vec<Style>,
    blocks: Vec<Block>,
    /// The next number of each list; none for bullets.
    lists: Vec<Option<u64>>,
    /// A blank line is due before the next block.
    gap: bool,
    /// Inside a block of code: its text so far, and whether it is a diff.
    code: Option<(String, bool)>,
    /// Addresses of the links that are open, with the text that stood before them.
    links: Vec<(String, usize)>,
    table: Option<Table>,
}

#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
    cell: String,
}

impl Page {
    fn new(base: Style, paint: Paint) -> Self {
        Self {
            paint,
            lines: Vec::new(),
            pieces: Vec::new(),
            styles: vec![base],
            blocks: Vec::new(),
            lists: Vec::new(),
            gap: false,
            code: None,
            links: Vec::new(),
            table: None,
        }
    }

    fn style(&self) -> Style {
        self.styles.last().copied().unwrap_or_default()
    }

    fn push(&mut self, style: Style, text: &str) {
        let text: String = text.chars().filter(|c| !is_unsafe(*c)).collect();
        if let Some(table) = &mut self.table {
            table.cell.push_str(&text.replace('\n', " "));
        } else if let Some((code, _)) = &mut self.code {
            code.push_str(&text);
        } else {
            self.pieces.push((style, text));
        }
    }

    fn take(&mut self, event: Event<'_>) {
        let style = self.style();
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.push(style, &text),
            Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                let style = style.patch(self.paint.style(Part::Code));
                // A colour alone tells nobody anything.
                self.push(style, &format!("`{text}`"));
            }
            Event::Html(text) | Event::InlineHtml(text) => self.push(style, &text),
            Event::FootnoteReference(label) => self.push(style, &format!("[^{label}]")),
            Event::SoftBreak | Event::HardBreak => self.push(style, "\n"),
            Event::Rule => {
                self.open_block();
                let sign = if self.paint.glyphs.is_ascii() { "-" } else { "─" };
                self.push(self.paint.style(Part::Border), &sign.repeat(self.paint.width.min(40)));
                self.flush();
                self.gap = true;
            }
            Event::TaskListMarker(done) => self.push(style, if done { "[x] " } else { "[ ] " }),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock | Tag::MetadataBlock(_) => self.open_block(),
            Tag::Heading { level, .. } => {
                self.open_block();
                let title = self.style().patch(self.paint.style(Part::Title));
                let style = match level {
                    HeadingLevel::H1 => title.add_modifier(Modifier::UNDERLINED),
                    _ => title,
                };
                self.styles.push(style);
            }
            Tag::BlockQuote(_) => {
                self.open_block();
                let bar = if self.paint.glyphs.is_ascii() { "| " } else { "│ " };
                self.blocks.push(Block { first: bar.to_owned(), rest: bar.to_owned(), begun: true });
                self.gap = false;
            }
            Tag::CodeBlock(kind) => {
                self.open_block();
                let is_diff = match kind {
                    CodeBlockKind::Fenced(language) => matches!(language.split(' ').next(), Some("diff" | "patch")),
                    CodeBlockKind::Indented => false,
                };
                self.code = Some((String::new(), is_diff));
            }
            Tag::List(first) => {
                if self.lists.is_empty() {
                    self.open_block();
                } else {
                    self.flush();
                }
                self.lists.push(first);
            }
            Tag::Item => self.start_item(),
            Tag::FootnoteDefinition(label) => {
                self.open_block();
                self.push(self.style(), &format!("[^{label}]: "));
            }
            Tag::Table(_) => {
                self.open_block();
                self.table = Some(Table::default());
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(table) = &mut self.table {
                    table.rows.push(Vec::new());
                }
            }
            Tag::Emphasis => self.modified(Modifier::ITALIC),
            Tag::Strong => self.modified(Modifier::BOLD),
            Tag::Strikethrough => self.modified(Modifier::CROSSED_OUT),
            Tag::Link { dest_url, .. } => {
                self.links.push((dest_url.to_string(), self.pieces.len()));
                self.modified(Modifier::UNDERLINED);
            }
            Tag::Image { dest_url, .. } => {
                self.links.push((dest_url.to_string(), self.pieces.len()));
                self.push(self.style(), "image: ");
            }
            Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::TableCell => {}
        }
    }

    fn start_item(&mut self) {
        self.flush();
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{number}. ");
                *number = number.saturating_add(1);
                marker
            }
            _ if self.paint.glyphs.is_ascii() => "- ".to_owned(),
            _ => "• ".to_owned(),
        };
        let rest = " ".repeat(marker.width());
        self.blocks.push(Block { first: marker, rest, begun: false });
        self.gap = false;
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock | TagEnd::FootnoteDefinition | TagEnd::MetadataBlock(_) => {
                self.flush();
                self.gap = true;
            }
            TagEnd::Heading(_) => {
                self.flush();
                self.styles.pop();
                self.gap = false;
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.blocks.pop();
                self.gap = true;
            }
            TagEnd::CodeBlock => {
                if let Some((code, is_diff)) = self.code.take() {
                    self.set_code(code.trim_end_matches('\n'), is_diff);
                }
                self.gap = true;
            }
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
                self.gap = self.lists.is_empty();
            }
            TagEnd::Item => {
                if self.blocks.last().is_some_and(|block| !block.begun) && self.pieces.is_empty() {
                    self.push(self.style(), " ");
                }
                self.flush();
                self.blocks.pop();
                self.gap = false;
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    self.set_table(table);
                }
                self.gap = true;
            }
            TagEnd::TableCell => {
                if let Some(table) = &mut self.table {
                    let cell = std::mem::take(&mut table.cell);
                    if let Some(row) = table.rows.last_mut() {
                        row.push(cell.trim().to_owned());
                    }
                }
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => {
                self.styles.pop();
            }
            TagEnd::Link => {
                self.styles.pop();
                self.end_link();
            }
            TagEnd::Image => self.end_link(),
            TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::Superscript
            | TagEnd::Subscript => {}
        }
    }

    fn end_link(&mut self) {
        let Some((address, from)) = self.links.pop() else { return };
        let shown: String = self.pieces.iter().skip(from).map(|(_, text)| text.as_str()).collect();
        let is_the_text = shown == address || address.strip_prefix("mailto:") == Some(&shown);
        if !address.is_empty() && !is_the_text {
            self.push(self.paint.style(Part::Dim), &format!(" ({address})"));
        }
    }

    fn modified(&mut self, modifier: Modifier) {
        self.styles.push(self.style().add_modifier(modifier));
    }

    /// Ends what stands before a block, with a blank line where one is due.
    fn open_block(&mut self) {
        self.flush();
        if std::mem::take(&mut self.gap) && !self.lines.is_empty() {
            let lead = self.lead();
            self.lines.extend(flow(&[], self.paint.width, &lead, Break::Words));
        }
    }

    /// What stands before the next lines.
    fn lead(&mut self) -> Lead {
        let style = self.paint.style(Part::Dim);
        let mut lead = Lead::default();
        for block in &mut self.blocks {
            let first = if block.begun { &block.rest } else { &block.first };
            lead.first.push((style, first.clone()));
            lead.rest.push((style, block.rest.clone()));
            block.begun = true;
        }
        lead
    }

    /// Sets what is waiting.
    fn flush(&mut self) {
        if self.pieces.is_empty() {
            return;
        }
        let mut pieces = std::mem::take(&mut self.pieces);
        if let Some((_, last)) = pieces.last_mut() {
            last.truncate(last.trim_end_matches('\n').len());
        }
        let lead = self.lead();
        self.lines.extend(flow(&pieces, self.paint.width, &lead, Break::Words));
    }

    fn set_code(&mut self, code: &str, is_diff: bool) {
        let mut lead = self.lead();
        for lead in [&mut lead.first, &mut lead.rest] {
            lead.push((Style::new(), "  ".to_owned()));
        }
        let style = self.paint.style(Part::Code);
        for line in code.split('\n') {
            let style = if is_diff { self.paint.style(diff_part(line)) } else { style };
            self.lines.extend(flow(&[(style, line.to_owned())], self.paint.width, &lead, Break::Columns));
            lead.first.clone_from(&lead.rest);
        }
    }

    fn set_table(&mut self, table: Table) {
        let columns = table.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| table.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max())
            .map(Option::unwrap_or_default)
            .collect();
        let fits = widths.iter().sum::<usize>() + 3 * columns <= self.paint.width;
        let lead = self.lead();
        for (index, row) in table.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| {
                let missing = if fits { width.saturating_sub(cell.width()) } else { 0 };
                format!("{cell}{}", " ".repeat(missing))
            });
            let style = if index == 0 { self.style().add_modifier(Modifier::BOLD) } else { self.style() };
            let bar = if self.paint.glyphs.is_ascii() { " | " } else { " │ " };
            let text = cells.collect::<Vec<_>>().join(bar);
            self.lines.extend(flow(&[(style, text)], self.paint.width, &lead, Break::Words));
        }
    }
}

/// How a line of a diff is drawn.
#[must_use]
pub fn diff_part(line: &str) -> Part {
    match line.as_bytes().first() {
        Some(b'+') => Part::Added,
        Some(b'-') => Part::Removed,
        Some(b'@') => Part::Dim,
        _ => Part::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::ThemeName;

    fn paint(width: usize, name: ThemeName) -> Paint {
        Paint { theme: Theme::new(name), glyphs: Glyphs::new(false), width, opens: None }
    }

    fn told(text: &str, width: usize) -> Vec<String> {
        let lines = lines(text, Style::new(), paint(width, ThemeName::Dark));
        lines.iter().map(|line| line.spans.iter().map(|span| span.content.as_ref()).collect()).collect()
    }

    #[test]
    fn blocks_read_as_they_are_meant() {
        let text = "# Plan\nFirst *this*.\n\n- one `x`\n- two\n  - deep\n\n3. three\n4. four\n\n> said\n> so\n\n```rust\n\
            fn main() {\n    x();\n}\n```\n\nSee [docs](https://a.b/c) or <https://d.e>.";
        assert_eq!(
            told(text, 40),
            [
                "Plan",
                "First this.",
                "",
                "• one `x`",
                "• two",
                "  • deep",
                "",
                "3. three",
                "4. four",
                "",
                "│ said",
                "│ so",
                "",
                "  fn main() {",
                "      x();",
                "  }",
                "",
                "See docs (https://a.b/c) or https://d.e.",
            ]
        );
    }

    #[test]
    fn long_items_hang_and_tables_line_up() {
        assert_eq!(told("- one two three four", 12), ["• one two", "  three four"]);
        assert_eq!(told("|a|bb|\n|-|-|\n|1|2|\n|long|x|", 30), ["a    │ bb", "1    │ 2 ", "long │ x "]);
        assert_eq!(told("- a\n\n  ```\n  code\n  ```", 30), ["• a", "  ", "    code"]);
    }

    #[test]
    fn nothing_is_lost_that_looks_like_markup() {
        for text in ["<b>bold</b> &amp; x", "[ref]: https://a.b", "a_b_c 2*3*4", "<!-- note -->", "[x](", "***"] {
            let shown = told(text, 60).concat();
            for word in ["bold", "https://a.b", "a_b_c", "note", "[x]("] {
                assert!(!text.contains(word) || shown.contains(word), "{text:?} became {shown:?}");
            }
            assert!(!shown.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn nothing_that_controls_a_terminal_comes_into_being() {
        for text in ["&#27;[31mred", "&#x9b;31m", "`\u{1b}[1m`", "[a](<\u{202e}>)", "```\n\u{1b}]0;t\u{7}\n```"] {
            let shown = told(text, 40).concat();
            assert!(!shown.chars().any(is_unsafe), "{text:?} became {shown:?}");
        }
    }

    #[test]
    fn whatever_comes_fits_into_the_width() {
        proptest::proptest!(|(text in "[a-z#*>`|\\[\\]()0-9.! \n-]{0,120}", width in 4usize..30)| {
            for line in told(&text, width) {
                proptest::prop_assert!(line.width() <= width, "{:?} is wider than {}", line, width);
            }
        });
    }
}

//! Drawing the menu.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, List, ListItem, ListState, Paragraph, Wrap};

use super::model::{Entry, Mode, Model};

const KEYS: &str = " ↑↓ move  ⏎ change  d default  / search  s save  ? help  q quit";

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, model: &Model<'_>) {
    let [head, middle, message, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(5),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let changed = if model.is_changed() { "  (not saved)" } else { "" };
    frame.render_widget(Line::from(format!(" {}{changed}", model.title())).bold().reversed(), head);
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(middle);
    draw_list(frame, model, left);
    draw_details(frame, model, right);
    frame.render_widget(Line::from(format!(" {}", model.message())).yellow(), message);
    frame.render_widget(Line::from(KEYS).dim(), keys);
    match model.mode() {
        Mode::Help => popup(
            frame,
            "Keys",
            "↑ ↓ j k       move\nPgUp PgDn     move by ten\nEnter, space  toggle, next choice, or type a value\n\
             d             back to the default\n/             search in names and help; Esc ends it\n\
             s             save to oxk.toml\nq             quit\n\nA * marks what differs from the default.",
        ),
        Mode::Leave => popup(
            frame,
            "Save the changes?",
            "y  save and quit\nn  quit without saving\nany other key: stay",
        ),
        _ => {}
    }
}

fn draw_list(frame: &mut Frame<'_>, model: &Model<'_>, area: Rect) {
    let title = match (model.mode(), model.search()) {
        (Mode::Search, word) => format!(" search: {word}▏"),
        (_, "") => " options ".to_owned(),
        (_, word) => format!(" search: {word} "),
    };
    let width = usize::from(area.width.saturating_sub(4));
    let mut items = Vec::new();
    let mut selected = None;
    let mut section = None;
    for (position, (_, entry)) in model.visible().into_iter().enumerate() {
        if section != Some(&entry.section) {
            items.push(ListItem::new(Line::from(entry.section.clone()).bold().cyan()));
            section = Some(&entry.section);
        }
        if position == model.cursor() {
            selected = Some(items.len());
        }
        items.push(ListItem::new(entry_line(entry, width)));
    }
    if items.is_empty() {
        items.push(ListItem::new(Line::from("nothing found").dim()));
    }
    let list = List::new(items)
        .block(Block::bordered().title(title))
        .highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = ListState::default().with_selected(selected);
    frame.render_stateful_widget(list, area, &mut state);
}

fn entry_line(entry: &Entry, width: usize) -> Line<'static> {
    let mark = if entry.is_changed() { "*" } else { " " };
    let value = match entry.value.as_str() {
        "true" => "[x]".to_owned(),
        "false" => "[ ]".to_owned(),
        "" => "\"\"".to_owned(),
        other => other.to_owned(),
    };
    let name = format!(" {mark} {}", entry.name);
    let space = width.saturating_sub(name.chars().count() + value.chars().count()).max(1);
    Line::from(vec![Span::raw(name), Span::raw(" ".repeat(space)), Span::raw(value).green()])
}

fn draw_details(frame: &mut Frame<'_>, model: &Model<'_>, area: Rect) {
    let block = Block::bordered().title(" about ");
    let Some(entry) = model.selected() else {
        frame.render_widget(block, area);
        return;
    };
    let mut lines = vec![
        Line::from(entry.path()).bold(),
        Line::default(),
        Line::from(entry.help.clone()),
        Line::default(),
        Line::from(format!("value    {}", entry.value)),
        Line::from(format!("default  {}", entry.default)),
        Line::from(format!("takes    {}", entry.kind)),
    ];
    if !entry.hint.is_empty() {
        lines.extend([Line::default(), Line::from(entry.hint.clone()).dim()]);
    }
    if model.mode() == Mode::Edit {
        lines
            .extend([Line::default(), Line::from(format!("new value: {}▏", model.input())).bold()]);
        lines.push(Line::from("Enter takes it, Esc leaves it").dim());
    }
    frame.render_widget(Paragraph::new(lines).block(block).wrap(Wrap { trim: false }), area);
}

fn popup(frame: &mut Frame<'_>, title: &str, text: &str) {
    let height = text.lines().count() as u16 + 2;
    let width = text.lines().map(|l| l.chars().count()).max().unwrap_or(0) as u16 + 4;
    let area = frame.area();
    let [area] = Layout::horizontal([Constraint::Length(width)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    let [area] = Layout::vertical([Constraint::Length(height)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    frame.render_widget(Clear, area);
    let text: Vec<Line<'_>> = text.lines().map(|l| Line::from(format!(" {l}"))).collect();
    frame
        .render_widget(Paragraph::new(text).block(Block::bordered().title(title.to_owned())), area);
}

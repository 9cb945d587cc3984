import { useEffect, useRef, type KeyboardEvent } from 'react';
import { useInsideWords } from '../i18n/inside-words.js';
import { usePreferences } from '../preferences.js';

// Those that people write in texts; the system's own picker has the rest.
const GROUPS = {
  faces:
    '😀 😃 😄 😁 😆 😅 🤣 😂 🙂 🙃 😉 😊 😇 🥰 😍 😘 😋 😜 🤪 😎 🤓 🥳 🤗 🤭 🤔 🤨 😐 😏 🙄 😬 😴 😷 🤒 🥴 🥺 😢 😭 😤 😠 😡 🤯 😳 😱 😨 😓 😔 😕 🙁 😮 🤦 🤷 💩 👻 🎃',
  hands: '👍 👎 👌 ✌️ 🤞 🤟 👋 🙏 👏 🙌 💪 🤝 👀 ❤️ 🧡 💛 💚 💙 💜 🖤 🤍 💔 💕 💖 💯 ✨ 🔥 🎉 ✅ ❌ ❓ ❗ 💤 💬',
  nature: '☀️ 🌤️ ⛅ 🌧️ ⛈️ ❄️ 🌈 🌙 ⭐ 🌊 🌸 🌹 🌻 🌳 🌲 🍀 🍁 🐶 🐱 🐭 🐰 🦊 🐻 🐼 🐸 🐷 🐴 🐝 🦋 🐟',
  food: '🍎 🍌 🍓 🍇 🍉 🍋 🥑 🍅 🥕 🥐 🍞 🧀 🥚 🍳 🥓 🍔 🍟 🍕 🌭 🌮 🥗 🍝 🍜 🍣 🍦 🍩 🍪 🎂 🍫 ☕ 🍵 🍺 🍷 🥂',
  things: '🏠 🏢 🏥 🚗 🚕 🚌 🚆 ✈️ 🚲 ⛽ 🚦 📱 💻 📷 📺 ⏰ 🔑 🔋 💡 📅 📌 📎 ✏️ 📦 🎁 🛒 💶 💊 ⚽ 🏀 🎸 🎵 🎮 🏖️',
} as const;

const RECENT = 16;

export default function EmojiPicker({ onPick, onClose }: { onPick: (emoji: string) => void; onClose: () => void }) {
  const words = useInsideWords();
  const [{ recentEmoji = [] }, setPreferences] = usePreferences();
  const picker = useRef<HTMLDivElement>(null);
  const close = useRef(onClose);
  close.current = onClose;

  useEffect(() => {
    // Once, as it opens: later the focus is where the person put it.
    picker.current?.querySelector('button')?.focus();
    const outside = (event: PointerEvent) => {
      // Whatever holds the picker holds the button that opened it, too.
      if (!picker.current?.parentElement?.contains(event.target as Node)) close.current();
    };
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, []);

  const pick = (emoji: string) => {
    setPreferences({ recentEmoji: [emoji, ...recentEmoji.filter((one) => one !== emoji)].slice(0, RECENT) });
    onPick(emoji);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape') {
      event.preventDefault();
      event.stopPropagation();
      onClose();
      return;
    }
    const buttons = [...(picker.current?.querySelectorAll('button') ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const next = besides(buttons, at, event.key);
    if (next === undefined) return;
    event.preventDefault();
    next.focus();
  };

  return (
    <div ref={picker} className="emoji-picker" role="group" aria-label={words.composer.emoji} onKeyDown={onKeyDown}>
      {recentEmoji.length > 0 && <Group name={words.composer.emojiGroups.recent} emoji={recentEmoji} onPick={pick} />}
      {Object.entries(GROUPS).map(([group, emoji]) => (
        <Group
          key={group}
          name={words.composer.emojiGroups[group as keyof typeof GROUPS]}
          emoji={emoji.split(' ')}
          onPick={pick}
        />
      ))}
    </div>
  );
}

function Group({ name, emoji, onPick }: { name: string; emoji: string[]; onPick: (emoji: string) => void }) {
  return (
    <section aria-label={name}>
      <h2>{name}</h2>
      <div className="emoji-grid">
        {emoji.map((one) => (
          <button key={one} type="button" tabIndex={-1} onClick={() => onPick(one)}>
            {one}
          </button>
        ))}
      </div>
    </section>
  );
}

/** The button that an arrow leads to: by order sideways, by place up and down. */
function besides(buttons: HTMLButtonElement[], at: number, key: string): HTMLButtonElement | undefined {
  if (key === 'ArrowRight') return buttons[at + 1];
  if (key === 'ArrowLeft') return buttons[at - 1];
  if (key !== 'ArrowDown' && key !== 'ArrowUp') return undefined;
  const from = buttons[at]?.getBoundingClientRect();
  if (from === undefined) return buttons[0];
  const rest = key === 'ArrowDown' ? buttons.slice(at + 1) : buttons.slice(0, at).reverse();
  const row = rest.find((button) => button.getBoundingClientRect().top !== from.top)?.getBoundingClientRect().top;
  const inRow = rest.filter((button) => button.getBoundingClientRect().top === row);
  const distance = (button: HTMLButtonElement) => Math.abs(button.getBoundingClientRect().left - from.left);
  return inRow.sort((one, other) => distance(one) - distance(other))[0];
}

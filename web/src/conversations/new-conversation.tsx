import type { CountryCode } from 'libphonenumber-js/min';
import { AsYouType, parsePhoneNumberFromString } from 'libphonenumber-js/min';
import { useEffect, useId, useRef, useState, type KeyboardEvent } from 'react';
import { BeginPrivate, FindPeople } from '../chats/begin.js';
import { useClient, useClientState, useReading } from '../client.js';
import { useInsideWords } from '../i18n/inside-words.js';
import { shownNumber } from '../numbers.js';
import { navigate } from '../route.js';
import { fold } from '../search/words-in-text.js';
import { Avatar } from '../ui/avatar.js';
import { SendIcon } from '../ui/icons.js';
import { useConversations } from './use-conversations.js';

const SUGGESTIONS = 50;

interface Person {
  name: string;
  number: string;
}

/** Asks whom to write to: by number and name where there is a phone, else by name. */
export default function NewConversation() {
  const { phone } = useClientState();
  return phone.gone ? <FindPeople /> : <ByNumber />;
}

/** Asks for a number, or a name, and opens the thread with it. */
function ByNumber() {
  const client = useClient();
  const words = useInsideWords();
  const fieldId = useId();
  const [input, setInput] = useState('');
  const [checked, setChecked] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const body = useRef<HTMLDivElement>(null);
  const conversations = useConversations().value ?? [];
  const contacts = useReading('contacts', () => client.contacts()).value ?? [];

  useEffect(() => field.current?.focus(), []);

  const number = parse(input);
  const people = suggest(
    [
      ...contacts.flatMap(({ name, numbers }) => numbers.map((each) => ({ name, number: each }))),
      ...conversations.flatMap(({ name, number: each }) => (name ? [{ name, number: each }] : [])),
    ],
    input,
  );

  const open = (to: string) => {
    const e164 = parse(to) ?? to;
    const known = conversations.find((conversation) => conversation.number === e164);
    navigate(known ? { page: 'conversation', id: known.id } : { page: 'number', number: e164 }, { replace: true });
  };

  const change = (value: string) => {
    setChecked(false);
    // Formats while a number grows at its end; who corrects in the middle is left alone.
    const atEnd = field.current?.selectionStart === value.length;
    const grew = value.length > input.length;
    setInput(atEnd && grew && isNumberLike(value) ? new AsYouType(region()).input(value) : value);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
    const stops = [...(body.current?.querySelectorAll<HTMLElement>('input, button.person') ?? [])];
    const at = stops.indexOf(document.activeElement as HTMLElement);
    const next = stops[event.key === 'ArrowDown' ? at + 1 : at - 1];
    if (next === undefined) return;
    event.preventDefault();
    next.focus();
  };

  const wrong = checked && number === undefined && (isNumberLike(input) || people.length === 0);
  return (
    <div className="new-conversation" ref={body} onKeyDown={onKeyDown}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const [first] = people;
          if (number !== undefined) open(number);
          else if (first && !isNumberLike(input)) open(first.number);
          else setChecked(true);
        }}
      >
        <label htmlFor={fieldId}>{words.new.number}</label>
        <input
          ref={field}
          id={fieldId}
          className="field"
          type="text"
          inputMode="tel"
          autoComplete="off"
          spellCheck={false}
          value={input}
          aria-invalid={wrong}
          aria-describedby={`${fieldId}-hint`}
          onChange={(event) => change(event.target.value)}
        />
        <p id={`${fieldId}-hint`} className={wrong ? 'field-hint field-wrong' : 'field-hint'} aria-live="polite">
          {wrong ? words.new.invalid : words.new.hint}
        </p>
      </form>
      {number !== undefined && (
        <button type="button" className="person person-number" onClick={() => open(number)}>
          <span className="avatar avatar-action">
            <SendIcon />
          </span>
          <span className="conversation-name">{words.new.write(shownNumber(number))}</span>
          {!number.startsWith('+') && <span className="conversation-line">{words.new.short}</span>}
        </button>
      )}
      {people.length > 0 && (
        <section aria-label={words.new.contacts}>
          <h2>{words.new.contacts}</h2>
          <ul>
            {people.map((person) => (
              <li key={`${person.name} ${person.number}`}>
                <button type="button" className="person" onClick={() => open(person.number)}>
                  <Avatar name={person.name} number={person.number} />
                  <span className="conversation-name" dir="auto">
                    {person.name}
                  </span>
                  <span className="conversation-line">{shownNumber(person.number)}</span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
      {(!isNumberLike(input) || input === '') && <BeginPrivate query={input} />}
      {people.length === 0 && input !== '' && number === undefined && (
        <p className="field-hint new-none">{words.new.noContacts}</p>
      )}
    </div>
  );
}

/** The number in E.164, or a short code as it is; undefined while it is no whole number. */
function parse(input: string): string | undefined {
  const text = input.trim();
  if (!isNumberLike(text)) return undefined;
  const parsed = parsePhoneNumberFromString(text, region());
  if (parsed?.isValid()) return parsed.number;
  const digits = text.replace(/\D/g, '');
  return !text.startsWith('+') && /^[1-9]\d{2,5}$/.test(digits) ? digits : undefined;
}

function isNumberLike(text: string): boolean {
  return /^[+\d][\d\s()./-]*$/.test(text.trim());
}

/** The country whose numbers may be typed without its code: that of the browser's language. */
function region(): CountryCode | undefined {
  for (const tag of navigator.languages) {
    const found = new Intl.Locale(tag).region;
    if (found) return found as CountryCode;
  }
  return undefined;
}

function suggest(people: Person[], input: string): Person[] {
  const wanted = fold(input.trim());
  const digits = input.replace(/\D/g, '').replace(/^0+/, '');
  const seen = new Set<string>();
  return people
    .filter(({ name, number }) => {
      const key = number.replace(/[^\d+]/g, '');
      if (seen.has(key)) return false;
      const fits = isNumberLike(input)
        ? digits !== '' && key.includes(digits)
        : wanted === '' ||
          fold(name)
            .split(/\s+/)
            .some((part) => part.startsWith(wanted)) ||
          fold(name).startsWith(wanted);
      if (fits) seen.add(key);
      return fits;
    })
    .sort((one, other) => one.name.localeCompare(other.name))
    .slice(0, SUGGESTIONS);
}

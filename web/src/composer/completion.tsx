import { useId, useState, type KeyboardEvent, type ReactNode, type RefObject } from 'react';

/** What may stand in a text in place of what was typed from `from` up to the caret. */
export interface Completion {
  from: number;
  options: { id: string; label: string; insert: string }[];
}

/** Offers completions below the hands: arrows choose, Enter and Tab take, Escape lets go. */
export function useCompletion(
  field: RefObject<HTMLTextAreaElement | null>,
  text: string,
  complete: ((text: string, caret: number) => Completion | undefined) | undefined,
  change: (text: string) => void,
  say: { list: string; found: (count: number) => string } | undefined,
): {
  list: ReactNode;
  /** Whether the key was for the list. */
  onKeyDown: (event: KeyboardEvent) => boolean;
  props: object;
} {
  const id = useId();
  const [caret, setCaret] = useState(0);
  const [chosen, setChosen] = useState(0);
  const [dismissed, setDismissed] = useState<number>();
  const offered = complete?.(text, Math.min(caret, text.length));
  const completion = offered && offered.from !== dismissed && offered.options.length > 0 ? offered : undefined;
  const options = completion?.options ?? [];
  const at = Math.min(chosen, options.length - 1);

  const take = (index: number) => {
    const option = options[index];
    if (completion === undefined || option === undefined) return;
    change(text.slice(0, completion.from) + option.insert + text.slice(caret));
    setChosen(0);
    const after = completion.from + option.insert.length;
    setCaret(after);
    requestAnimationFrame(() => {
      field.current?.focus();
      field.current?.setSelectionRange(after, after);
    });
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (completion === undefined || event.nativeEvent.isComposing) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) setChosen((at + step + options.length) % options.length);
    else if (event.key === 'Enter' || event.key === 'Tab') take(at);
    else if (event.key === 'Escape') setDismissed(completion.from);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  };

  return {
    onKeyDown,
    props: complete
      ? {
          onSelect: () => {
            setCaret(field.current?.selectionStart ?? 0);
            if (offered === undefined) setDismissed(undefined);
          },
          'aria-autocomplete': 'list',
          'aria-controls': completion && `${id}-list`,
          'aria-activedescendant': completion && `${id}-${at}`,
        }
      : {},
    list: complete && (
      <>
        <p className="hidden-words" role="status">
          {completion && say?.found(options.length)}
        </p>
        {completion && (
          <ul id={`${id}-list`} className="completion" role="listbox" aria-label={say?.list}>
            {options.map((option, index) => (
              <li
                key={option.id}
                id={`${id}-${index}`}
                role="option"
                aria-selected={index === at}
                // The field keeps the focus.
                onPointerDown={(event) => event.preventDefault()}
                onClick={() => take(index)}
              >
                {option.label}
              </li>
            ))}
          </ul>
        )}
      </>
    ),
  };
}

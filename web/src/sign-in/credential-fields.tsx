import { useId, type HTMLInputAutoCompleteAttribute } from 'react';

/** A field with its label, and what is wrong with it, or what to know about it, below. */
export function LabelledField({
  label,
  value,
  onChange,
  problem,
  hint,
  type = 'text',
  autoComplete,
  autoFocus = false,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  problem?: string | undefined;
  hint?: string;
  type?: 'text' | 'password';
  autoComplete: HTMLInputAutoCompleteAttribute;
  autoFocus?: boolean;
}) {
  const id = useId();
  const below = problem ?? hint;
  return (
    <div className="labelled">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        className="field"
        type={type}
        autoComplete={autoComplete}
        autoCapitalize="none"
        spellCheck={false}
        autoFocus={autoFocus}
        value={value}
        aria-invalid={problem !== undefined}
        aria-describedby={below && `${id}-below`}
        onChange={(event) => onChange(event.target.value)}
      />
      {below && (
        <p id={`${id}-below`} className={problem ? 'field-hint field-wrong' : 'field-hint'} aria-live="polite">
          {below}
        </p>
      )}
    </div>
  );
}

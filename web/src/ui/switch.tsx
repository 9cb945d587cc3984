import { useId } from 'react';

/** Something that is on or off, and is so at once. */
export function Switch({
  label,
  on,
  disabled = false,
  hint,
  onChange,
}: {
  label: string;
  on: boolean;
  disabled?: boolean;
  hint?: string | undefined;
  onChange: (on: boolean) => void;
}) {
  const id = useId();
  return (
    <div className="setting">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        className="switch"
        type="checkbox"
        role="switch"
        checked={on}
        disabled={disabled}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChange(event.target.checked)}
      />
      {hint && (
        <p id={`${id}-hint`} className="field-hint">
          {hint}
        </p>
      )}
    </div>
  );
}

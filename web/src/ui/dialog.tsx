import { useId, type ReactNode, type SubmitEvent } from 'react';
import { useWords } from '../i18n/words.js';
import { useModal } from './use-modal.js';

/** A question or a piece of information in front of the page. Mount it to open it. */
export function Dialog({
  title,
  onClose,
  confirm,
  dangerous = false,
  onConfirm,
  children,
}: {
  title: string;
  onClose: () => void;
  /** The words on the button that does it; without it the dialog only closes. */
  confirm?: string;
  dangerous?: boolean;
  onConfirm?: () => void;
  children: ReactNode;
}) {
  const words = useWords();
  const dialog = useModal();
  const titleId = useId();

  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    onConfirm?.();
    onClose();
  };

  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
      onKeyDown={(event) => event.stopPropagation()}
    >
      <form onSubmit={submit}>
        <h2 id={titleId}>{title}</h2>
        {children}
        <div className="dialog-buttons">
          <button type="button" className="button" onClick={onClose}>
            {confirm ? words.cancel : words.close}
          </button>
          {confirm && <button className={`button ${dangerous ? 'button-danger' : 'button-primary'}`}>{confirm}</button>}
        </div>
      </form>
    </dialog>
  );
}

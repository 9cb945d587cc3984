import { useEffect, useId, useRef, type ReactNode, type SubmitEvent } from 'react';
import { useWords } from '../i18n/words.js';

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
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();

  useEffect(() => {
    const element = dialog.current;
    const opener = document.activeElement;
    // The browser keeps the focus inside, and everything else inert.
    element?.showModal();
    return () => {
      element?.close();
      if (opener instanceof HTMLElement) opener.focus();
    };
  }, []);

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

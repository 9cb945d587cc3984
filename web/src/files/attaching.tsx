import { useRef, useState, type ClipboardEvent, type DragEvent, type ReactNode } from 'react';
import { useFileWords } from '../i18n/file-words.js';
import { ClipIcon } from '../ui/icons.js';
import './files.css';

type Take = (files: File[]) => void;

/** Opens the browser's choice of files. */
export function AttachButton({ onFiles, disabled = false }: { onFiles: Take; disabled?: boolean }) {
  const words = useFileWords();
  const field = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={field}
        type="file"
        multiple
        hidden
        onChange={({ target }) => {
          onFiles([...(target.files ?? [])]);
          // So that the same file can be chosen again.
          target.value = '';
        }}
      />
      <button
        type="button"
        className="icon-button"
        aria-label={words.attach}
        title={words.attach}
        disabled={disabled}
        onClick={() => field.current?.click()}
      >
        <ClipIcon />
      </button>
    </>
  );
}

/** Takes files that are dropped anywhere on it, and says so while they are held over it. */
export function DropZone({
  onFiles,
  disabled = false,
  children,
}: {
  onFiles: Take;
  disabled?: boolean;
  children: ReactNode;
}) {
  const words = useFileWords();
  const [depth, setDepth] = useState(0);
  const onDrag = (change: number) => (event: DragEvent) => {
    if (disabled || !event.dataTransfer.types.includes('Files')) return;
    // Without this the browser opens what is dropped.
    event.preventDefault();
    if (change === 0) event.dataTransfer.dropEffect = 'copy';
    else setDepth((depth) => Math.max(0, depth + change));
  };
  return (
    <div
      className="drop-zone"
      onDragEnter={onDrag(1)}
      onDragOver={onDrag(0)}
      onDragLeave={onDrag(-1)}
      onDrop={(event) => {
        onDrag(0)(event);
        setDepth(0);
        const files = filesOf(event.dataTransfer);
        if (!disabled && files.length > 0) onFiles(files);
      }}
    >
      {children}
      {depth > 0 && <p className="drop-hint">{words.drop}</p>}
    </div>
  );
}

/** For the composer's `onPaste`: takes files that are pasted, above all pictures of the screen. A text stays the field's. */
export function pasteFiles(onFiles: Take): (event: ClipboardEvent) => void {
  return (event) => {
    const files = filesOf(event.clipboardData);
    // Programs put a picture of a text beside it.
    if (files.length === 0 || event.clipboardData.types.includes('text/plain')) return;
    event.preventDefault();
    onFiles(files);
  };
}

/** Without folders, which have no bytes. */
function filesOf({ items }: DataTransfer): File[] {
  return [...items].flatMap((item) => {
    const file = item.kind === 'file' && item.webkitGetAsEntry()?.isDirectory !== true ? item.getAsFile() : null;
    return file === null ? [] : [file];
  });
}

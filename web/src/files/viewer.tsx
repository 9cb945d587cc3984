import type { FileReference } from '@pairline/client';
import { useEffect, useId, useState } from 'react';
import { useFileProblems, useFileWords } from '../i18n/file-words.js';
import { useWords } from '../i18n/words.js';
import { CloseIcon, DownloadIcon, NextIcon, PreviousIcon } from '../ui/icons.js';
import { useModal } from '../ui/use-modal.js';
import { useSizes } from './sizes.js';
import type { LoadFiles } from './tray.js';
import { saveAs, useDownload } from './use-download.js';

interface Props {
  load: LoadFiles;
  pictures: readonly FileReference[];
  /** The one to begin with. */
  first: FileReference;
  onClose: () => void;
}

/** Pictures over the whole page. Arrows go from one to the next, Escape closes. Mount it to open it. */
export function PictureViewer({ load, pictures, first, onClose }: Props) {
  const words = useFileWords();
  const { close } = useWords();
  const sizes = useSizes();
  const dialog = useModal();
  const titleId = useId();
  const [at, setAt] = useState(() => Math.max(0, pictures.indexOf(first)));
  const picture = pictures[at] ?? first;
  const { address, blob, share, problem } = usePicture(load, picture);
  const go = (step: number) => setAt((at) => Math.min(pictures.length - 1, Math.max(0, at + step)));

  return (
    <dialog
      ref={dialog}
      className="viewer"
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      // What it stands in, in the page's tree, has a menu of its own.
      onContextMenu={(event) => event.stopPropagation()}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === 'ArrowRight') go(1);
        if (event.key === 'ArrowLeft') go(-1);
      }}
    >
      <div className="viewer-bar">
        <div className="viewer-title">
          <h2 id={titleId} className="file-name">
            <span className="hidden-words">{words.viewer.title}: </span>
            <bdi>{picture.name}</bdi>
          </h2>
          <p>
            {sizes(picture.size)}
            {pictures.length > 1 && ` · ${words.viewer.place(at + 1, pictures.length)}`}
          </p>
        </div>
        <button
          type="button"
          className="icon-button"
          aria-label={words.save(picture.name, sizes(picture.size))}
          disabled={blob === undefined}
          onClick={() => blob && saveAs(blob, picture.name)}
        >
          <DownloadIcon />
        </button>
        <button type="button" className="icon-button" aria-label={close} onClick={onClose}>
          <CloseIcon />
        </button>
      </div>
      {/* A press beside the picture closes, as Escape does. */}
      <div className="viewer-stage" onClick={({ target, currentTarget }) => target === currentTarget && onClose()}>
        <Shown key={picture.id} picture={picture} address={address} />
        {share !== undefined && <progress value={share} aria-label={words.loading(picture.name)} />}
        {problem !== undefined && <Problem code={problem} />}
      </div>
      {pictures.length > 1 && (
        <div className="viewer-steps">
          <button
            type="button"
            className="icon-button"
            aria-label={words.viewer.previous}
            aria-disabled={at === 0}
            onClick={() => go(-1)}
          >
            <PreviousIcon />
          </button>
          <button
            type="button"
            className="icon-button"
            aria-label={words.viewer.next}
            aria-disabled={at === pictures.length - 1}
            onClick={() => go(1)}
          >
            <NextIcon />
          </button>
        </div>
      )}
    </dialog>
  );
}

/** The small one until the large one is there. */
function Shown({ picture, address }: { picture: FileReference; address: string | undefined }) {
  const words = useFileWords();
  const [failed, setFailed] = useState(false);
  if (failed) return <p className="viewer-problem">{words.viewer.unshown}</p>;
  const { width, height, thumbnail, name } = picture;
  const source = address ?? thumbnail;
  return (
    source && (
      <img
        className={address === undefined ? 'viewer-picture viewer-small' : 'viewer-picture'}
        src={source}
        alt={name}
        width={width}
        height={height}
        onError={() => setFailed(address !== undefined)}
      />
    )
  );
}

function Problem({ code }: { code: string }) {
  const problem = useFileProblems();
  return (
    <p className="viewer-problem" role="alert">
      {problem(code)}
    </p>
  );
}

/** The whole picture, decrypted, for as long as it is shown. */
function usePicture(load: LoadFiles, picture: FileReference) {
  const { load: start, share, problem } = useDownload(load, picture);
  const [loaded, setLoaded] = useState<{ id: string; blob: Blob; address: string }>();
  useEffect(() => {
    let address: string | undefined;
    let over = false;
    void start().then((blob) => {
      if (blob === undefined || over) return;
      address = URL.createObjectURL(blob);
      setLoaded({ id: picture.id, blob, address });
    });
    return () => {
      over = true;
      if (address !== undefined) URL.revokeObjectURL(address);
    };
  }, [start, picture]);
  return { share, problem, ...(loaded?.id === picture.id ? loaded : { blob: undefined, address: undefined }) };
}

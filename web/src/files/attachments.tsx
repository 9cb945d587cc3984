import type { FileReference } from '@pairline/client';
import { useState, type CSSProperties } from 'react';
import { useFileProblems, useFileWords } from '../i18n/file-words.js';
import { CloseIcon, DownloadIcon, FileIcon } from '../ui/icons.js';
import { isPicture } from './kinds.js';
import { useSizes } from './sizes.js';
import type { LoadFiles } from './tray.js';
import { saveAs, useDownload } from './use-download.js';
import { PictureViewer } from './viewer.js';
import './files.css';

/** The longer side of a picture in a bubble, rem. */
const LONGEST = 16;

/** The files of a message: pictures to look at, others to save. */
export function Attachments({ load, files }: { load: LoadFiles; files: readonly FileReference[] }) {
  const [shown, setShown] = useState<FileReference>();
  if (files.length === 0) return null;
  return (
    <div className="attachments">
      {files.map((file) =>
        isPicture(file) && file.thumbnail !== undefined ? (
          <Thumbnail key={file.id} file={file} onShow={setShown} />
        ) : (
          <FileLine key={file.id} load={load} file={file} onShow={isPicture(file) ? setShown : undefined} />
        ),
      )}
      {shown && (
        <PictureViewer
          load={load}
          pictures={files.filter(isPicture)}
          first={shown}
          onClose={() => setShown(undefined)}
        />
      )}
    </div>
  );
}

function Thumbnail({ file, onShow }: { file: FileReference; onShow: (file: FileReference) => void }) {
  const words = useFileWords();
  const sizes = useSizes();
  return (
    <button
      type="button"
      className="thumbnail"
      aria-label={words.picture(file.name, sizes(file.size))}
      style={placeOf(file)}
      onClick={() => onShow(file)}
    >
      <img src={file.thumbnail} alt="" draggable={false} />
    </button>
  );
}

/** Its place is there before it is drawn, so that a thread does not jump. */
function placeOf({ width = 4, height = 3 }: FileReference): CSSProperties {
  // What is very long or wide is cut.
  const ratio = Math.min(3, Math.max(1 / 3, width / height));
  return { aspectRatio: String(ratio), width: `${LONGEST * Math.min(1, ratio)}rem` };
}

function FileLine({
  load,
  file,
  onShow,
}: {
  load: LoadFiles;
  file: FileReference;
  onShow?: ((file: FileReference) => void) | undefined;
}) {
  const words = useFileWords();
  const problem = useFileProblems();
  const sizes = useSizes();
  const download = useDownload(load, file);
  const { name, size } = file;
  const save = async () => {
    const blob = await download.load();
    if (blob !== undefined) saveAs(blob, name);
  };
  return (
    <div className="file-line">
      <FileIcon className="file-sign" />
      <div className="file-what">
        <p className="file-name">
          <bdi>{name}</bdi>
        </p>
        <p className="file-about">
          {sizes(size)}
          {onShow && (
            <>
              {' · '}
              <button type="button" className="file-show" aria-label={words.show(name)} onClick={() => onShow(file)}>
                {words.showShort}
              </button>
            </>
          )}
        </p>
        {download.share !== undefined && <progress value={download.share} aria-label={words.loading(name)} />}
        {download.problem !== undefined && (
          <p className="file-problem" role="alert">
            {problem(download.problem)}
          </p>
        )}
      </div>
      {download.share === undefined ? (
        <button
          type="button"
          className="icon-button"
          aria-label={words.save(name, sizes(size))}
          onClick={() => void save()}
        >
          <DownloadIcon />
        </button>
      ) : (
        <button type="button" className="icon-button" aria-label={words.stop(name)} onClick={download.stop}>
          <CloseIcon />
        </button>
      )}
    </div>
  );
}

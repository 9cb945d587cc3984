import { useEffect, useRef, useState } from 'react';
import { useFileProblems, useFileWords } from '../i18n/file-words.js';
import { useWords } from '../i18n/words.js';
import { CloseIcon, FileIcon } from '../ui/icons.js';
import { isPicture } from './kinds.js';
import { useSizes } from './sizes.js';
import type { Tray, TrayFile } from './tray.js';
import './files.css';

/** The files that go with the next message, each with how far it is. Nothing while there are none. */
export function TrayList({ tray, files }: { tray: Tray; files: readonly TrayFile[] }) {
  const words = useFileWords();
  const news = useNews(files);
  return (
    <>
      {files.length > 0 && (
        <ul className="tray" aria-label={words.tray}>
          {files.map((row) => (
            <Row key={row.key} tray={tray} row={row} />
          ))}
        </ul>
      )}
      <p className="hidden-words" role="status">
        {news}
      </p>
    </>
  );
}

function Row({ tray, row }: { tray: Tray; row: TrayFile }) {
  const words = useFileWords();
  const { tryAgain } = useWords();
  const sizes = useSizes();
  const said = useSaid();
  const { key, file, state, done } = row;
  const isUnderWay = state === 'sending' || state === 'waiting';
  return (
    <li className={`tray-row tray-${state}`}>
      <Picture file={file} />
      <div className="tray-what">
        <p className="file-name">
          <bdi>{file.name}</bdi>
        </p>
        <p className="file-about">
          {sizes(file.size)} · {said(row)}
        </p>
        {isUnderWay && <progress max={file.size || 1} value={done} aria-label={words.progress(file.name)} />}
      </div>
      {state === 'failed' && row.problem !== 'file_too_large' && (
        <button
          type="button"
          className="link-button"
          aria-label={words.again(file.name)}
          onClick={() => tray.retry(key)}
        >
          {tryAgain}
        </button>
      )}
      <button
        type="button"
        className="icon-button"
        aria-label={words.takeOut(file.name)}
        onClick={() => tray.remove(key)}
      >
        <CloseIcon />
      </button>
    </li>
  );
}

/** A picture as it lies on the disk; of what is none, a sign. */
function Picture({ file }: { file: File }) {
  const [address, setAddress] = useState<string>();
  useEffect(() => {
    if (!isPicture(file)) return;
    const url = URL.createObjectURL(file);
    setAddress(url);
    return () => URL.revokeObjectURL(url);
  }, [file]);
  if (address === undefined) return <FileIcon className="file-sign" />;
  return <img className="tray-picture" src={address} alt="" onError={() => setAddress(undefined)} />;
}

function useSaid(): (row: TrayFile) => string {
  const words = useFileWords();
  const problem = useFileProblems();
  const sizes = useSizes();
  return ({ file, state, done, problem: code = 'internal', largest }) => {
    if (state === 'failed') return largest === undefined ? problem(code) : words.tooLarge(sizes(largest));
    return state === 'sending' ? words.percent(file.size === 0 ? 0 : done / file.size) : words[state];
  };
}

/** What a screen reader is told when a file is ready, or failed. */
function useNews(files: readonly TrayFile[]): string {
  const { told } = useFileWords();
  const said = useSaid();
  const before = useRef(files);
  const [news, setNews] = useState('');
  useEffect(() => {
    const changed = files.filter((row) => before.current.find(({ key }) => key === row.key)?.state !== row.state);
    before.current = files;
    const row = changed.findLast(({ state }) => state === 'ready' || state === 'failed');
    if (row !== undefined)
      setNews(row.state === 'ready' ? told.ready(row.file.name) : told.failed(row.file.name, said(row)));
    else if (files.length === 0) setNews('');
  }, [files, told, said]);
  return news;
}

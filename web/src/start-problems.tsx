import { useWords } from './i18n/words.js';
import { NoticePage } from './ui/notice-page.js';

export function NotSecure() {
  const { start } = useWords();
  const secure = `https://${location.host}`;
  return (
    <NoticePage title={start.insecure}>
      <p>{start.insecureWhy}</p>
      <p>
        {start.insecureDo} <a href={secure}>{secure}</a>
      </p>
      <p>{start.insecureOr}</p>
    </NoticePage>
  );
}

export function StartFailed() {
  const { start } = useWords();
  return (
    <NoticePage title={start.failed}>
      <p>{start.failedWhy}</p>
      <Reload />
    </NoticePage>
  );
}

export function Broken() {
  const { start } = useWords();
  return (
    <NoticePage title={start.broken}>
      <p>{start.brokenWhy}</p>
      <Reload />
    </NoticePage>
  );
}

function Reload() {
  const { start } = useWords();
  return (
    <button type="button" className="button button-primary" onClick={() => location.reload()}>
      {start.reload}
    </button>
  );
}

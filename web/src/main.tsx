import { openWebClient } from '@pairline/client';
import { browserStore } from '@pairline/client/browser';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.js';
import { ClientProvider } from './client.js';
import { WordsProvider } from './i18n/words.js';
import { Broken, NotSecure, StartFailed } from './start-problems.js';
import { ErrorBoundary } from './ui/error-boundary.js';
import { ToastProvider } from './ui/toasts.js';
import './styles/tokens.css';
import './styles/base.css';
import './ui/ui.css';

const root = createRoot(document.getElementById('root') as HTMLElement);

function show(page: React.ReactNode): void {
  root.render(
    <StrictMode>
      <WordsProvider>
        <ErrorBoundary fallback={<Broken />}>
          <ToastProvider>{page}</ToastProvider>
        </ErrorBoundary>
      </WordsProvider>
    </StrictMode>,
  );
}

async function start(): Promise<void> {
  // Outside of HTTPS and localhost browsers have no crypto.subtle, and without it nothing can be decrypted.
  if (!isSecureContext) return show(<NotSecure />);
  try {
    const client = await openWebClient({ url: location.origin, store: browserStore('pairline') });
    show(
      <ClientProvider client={client}>
        <App />
      </ClientProvider>,
    );
  } catch (error) {
    console.error(error);
    show(<StartFailed />);
  }
}

// A new version of the server no longer has the parts of this one that were not loaded yet. Once, not for ever; and not
// without a network, where this page is better than none.
const RELOADED = 'pairline.reloaded';
const RELOADS_APART_MS = 60_000;
window.addEventListener('vite:preloadError', () => {
  const last = Number(sessionStorage.getItem(RELOADED));
  if (!navigator.onLine || Date.now() - last < RELOADS_APART_MS) return;
  sessionStorage.setItem(RELOADED, String(Date.now()));
  location.reload();
});

if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  void navigator.serviceWorker.register('/sw.js').catch(() => {
    // Then the page needs the network to open; everything else works.
  });
}

void start();

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
        <ErrorBoundary fallback={(error) => <Broken error={error} />}>
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

if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  void navigator.serviceWorker.register('/sw.js').catch(() => {
    // Then the page needs the network to open; everything else works.
  });
}

void start();

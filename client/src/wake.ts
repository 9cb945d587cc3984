/** A page that comes back to the front, or to the network, does not wait for the next attempt. */
export function wakeWithPage(wake: () => void): () => void {
  if (typeof document === 'undefined') return () => undefined;
  const seen = () => document.visibilityState === 'visible' && wake();
  addEventListener('online', wake);
  document.addEventListener('visibilitychange', seen);
  return () => {
    removeEventListener('online', wake);
    document.removeEventListener('visibilitychange', seen);
  };
}

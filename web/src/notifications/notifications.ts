import { getPreferences, setPreferences } from '../preferences.js';
import { goTo } from '../route.js';

// Permission is never asked for by itself: a person is offered notifications after the first message that they missed,
// and says yes with a button.

let offered = false;
const listeners = new Set<() => void>();

export function canNotify(): boolean {
  return 'Notification' in window;
}

/** Whether to show the offer: something came in unseen, and it was never answered. */
export function isOffered(): boolean {
  return offered && canNotify() && Notification.permission === 'default' && !getPreferences().notifications;
}

export function offerNotifications(): void {
  offered = true;
  for (const listener of listeners) listener();
}

export function onOffer(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Asks the browser when it has not been asked; resolves with whether notifications are on. */
export async function turnOn(): Promise<boolean> {
  const permission = Notification.permission === 'default' ? await Notification.requestPermission() : Notification.permission; // prettier-ignore
  setPreferences({ notifications: permission === 'granted' ? 'on' : 'later' });
  return permission === 'granted';
}

export function turnOff(): void {
  setPreferences({ notifications: 'later' });
}

interface Notice {
  title: string;
  text: string;
  /** Several tabs that show the same message show one notification. */
  id: string;
  /** Where it leads. */
  hash: string;
}

export function notify({ title, text, id, hash }: Notice): void {
  if (!canNotify() || Notification.permission !== 'granted' || getPreferences().notifications !== 'on') return;
  const options: NotificationOptions = { body: text, tag: id, icon: '/icon-192.png', data: { hash } };
  void showNotice(title, options, hash);
}

async function showNotice(title: string, options: NotificationOptions, hash: string): Promise<void> {
  const registration = await navigator.serviceWorker?.getRegistration();
  // Phones' browsers show notifications of a service worker only.
  if (registration?.active) return registration.showNotification(title, options);
  const notification = new Notification(title, options);
  notification.onclick = () => {
    window.focus();
    goTo(hash);
    notification.close();
  };
}

import type { FileWords } from './en-files.js';
import { plural } from './plural.js';

const many = plural('de');

export const deFiles: FileWords = {
  attach: 'Dateien anhängen',
  drop: 'Dateien hier ablegen, um sie zu senden',
  tray: 'Dateien zum Senden',
  percent: (share) => `${Math.floor(100 * share)} %`,
  progress: (name) => `Hochladen von ${name}`,
  queued: 'Kommt als Nächstes',
  waiting: 'Wartet auf die Verbindung',
  ready: 'Bereit zum Senden',
  takeOut: (name) => `${name} herausnehmen`,
  again: (name) => `${name} noch einmal versuchen`,
  told: {
    ready: (name) => `${name} ist bereit zum Senden`,
    failed: (name, why) => `${name}: ${why}`,
  },

  picture: (name, size) => `Das Bild ${name} zeigen, ${size}`,
  save: (name, size) => `${name} speichern, ${size}`,
  show: (name) => `${name} zeigen`,
  stop: (name) => `${name} nicht weiter laden`,
  loading: (name) => `${name} wird geladen`,
  download: 'Speichern',
  showShort: 'Zeigen',
  count: (count) => many(count, { one: '1 Datei', other: `${count} Dateien` }),

  viewer: {
    title: 'Bild',
    next: 'Nächstes Bild',
    previous: 'Voriges Bild',
    place: (number, count) => `${number} von ${count}`,
    unshown: 'Dieses Bild lässt sich hier nicht zeigen. Speichere es, um es anderswo zu öffnen.',
  },

  problems: {
    file_too_large: 'Sie ist zu groß.',
    files_full: 'Dein Konto hat keinen Platz dafür. Lösche Nachrichten mit Dateien, um Platz zu schaffen.',
    storage_full: 'Der Server hat keinen Platz mehr.',
    file_changed: 'Die Datei hat sich inzwischen geändert. Wähle sie noch einmal aus.',
    upload_expired: 'Es hat zu lange gedauert. Versuche es noch einmal.',
    damaged_file: 'Die Datei wurde unterwegs verändert oder ist nicht ganz. Sie wird nicht gezeigt.',
    not_found: 'Diese Datei gibt es nicht mehr.',
  },
  tooLarge: (largest) => `Sie ist zu groß: Eine Datei darf hier bis zu ${largest} haben.`,
};

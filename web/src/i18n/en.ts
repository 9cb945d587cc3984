import { plural } from './plural.js';

const many = plural('en');

/** Every word of the page. Another language is another file of this shape (`Words`); a missing key fails the types. */
export const en = {
  close: 'Close',
  cancel: 'Cancel',
  back: 'Back',
  copied: 'Copied',
  remove: 'Remove',
  rename: 'Rename',
  save: 'Save',
  tryAgain: 'Try again',
  loading: 'Loading…',
  yesterday: 'Yesterday',
  today: 'Today',
  somebody: 'Unknown number',

  start: {
    failed: 'Pairline could not open its store',
    failedWhy:
      'The browser refused to keep data for this page. Private windows and blocked site data are the usual reasons.',
    insecure: 'This address is not secure',
    insecureWhy:
      'Your messages are decrypted in this browser. Browsers only offer the cryptography for that on HTTPS, or on the computer that runs the server (localhost).',
    insecureDo: 'Open Pairline by HTTPS:',
    insecureOr: 'On the computer that runs the server, use http://localhost and its port instead.',
    broken: 'Something went wrong on this page',
    brokenWhy: 'Your messages are safe: they are on the server and on your phone.',
    brokenPart: 'This part of the page could not be shown.',
    reload: 'Reload the page',
  },

  pairing: {
    title: 'Your phone’s texts, here',
    lead: 'Link this browser once. Messages are encrypted between your phone and this browser.',
    steps: [
      { what: 'Start Pairline on your phone', how: 'On Android: npx pairline-phone in Termux' },
      { what: 'Give it this code', how: 'Scan it, or paste the link below when the phone asks' },
      { what: 'Read and write here', how: 'Your texts come by themselves; the phone stays where it is' },
    ],
    qr: 'QR code to link this browser',
    link: 'No camera? Paste this link on the phone',
    copyLink: 'Copy link',
    preparing: 'Preparing a code…',
    waiting: 'Waiting for your phone. The code renews itself.',
    scanned: 'Scanned, finishing…',
    done: 'Linked',
    failed: 'Linking did not work',
    /** The keys that came do not open: whoever sealed them had not read the code. */
    notSealed:
      'What came was not sealed by who scanned the code. Somebody may be in between: do not go on in this network.',
    remember: 'Remember this computer',
    rememberWhy: 'Off: everything is gone when you close this tab.',
    withoutPhone: 'Use Pairline without a phone',
    anotherBrowser: 'A browser that is linked already can also let this one in: Settings, “Link another browser”.',
    approveHere: 'That link lets another browser in. Sign in here first, or open the link where you are signed in.',
    goneWhy: {
      removed: 'This browser was removed from your account. Link it again to go on.',
      device_revoked: 'This browser was removed from your account. Link it again to go on.',
      session_expired: 'The session of this browser has ended. Link it again to go on.',
      authentication_failed: 'The server does not know this browser any more. Link it again to go on.',
    } as Record<string, string>,
    gone: 'This browser is signed out. Link it again to go on.',
    clear: 'Remove what is stored here',
  },

  state: {
    connecting: 'Connecting…',
    syncing: (rows: number) => (rows > 0 ? `Catching up… ${rows.toLocaleString('en')}` : 'Catching up…'),
    live: 'Phone connected',
    withoutPhone: 'Connected',
    away: 'Phone away',
    awaySince: (time: string) => `Phone away since ${time}`,
    phoneGone: 'The phone was taken off this account. Link a phone to go on.',
    willGo: (count: number) =>
      many(count, { one: '1 message will go when it is back', other: `${count} messages will go when it is back` }),
    offline: 'No connection',
    queued: (count: number) => many(count, { one: '1 message waits here', other: `${count} messages wait here` }),
    tryNow: 'Try now',
    unencrypted: 'Not end-to-end encrypted: the phone’s app does not support it',
    encrypted: 'End-to-end encrypted',
  },

  list: {
    title: 'Conversations',
    searchHint: 'Search messages and people',
    new: 'New conversation',
    settings: 'Settings',
    archived: 'Archived',
    unread: (count: number) => many(count, { one: '1 unread message', other: `${count} unread messages` }),
    pinned: 'Pinned',
    pin: 'Pin',
    unpin: 'Unpin',
    archive: 'Archive',
    unarchive: 'Move back to the list',
    markRead: 'Mark as read',
    menu: (name: string) => `Actions for ${name}`,
    draft: 'Draft:',
    you: 'You:',
    unreadable: 'Cannot be decrypted here',
    unsealed: 'Not end-to-end encrypted',
    picture: 'Picture',
    file: 'File',
    emptyWithoutPhone: 'Find somebody by name, and write to them. They see it when they are here next.',
    empty: 'No conversations yet',
    emptyWhy: 'Texts on your phone appear here as soon as it sends them. You can also write first.',
    emptyArchive: 'Nothing is archived',
    failed: 'The conversations could not be read',
    syncing: 'Your conversations are on their way',
    syncingWhy: 'The newest come first.',
    clearSearch: 'Clear the search',
    newGroup: 'New group',
  },

  welcome: {
    title: 'Pick a conversation',
    why: 'Or press / to search, and Alt N to write to somebody new.',
  },

  status: {
    waiting: 'Waiting for a connection',
    queued: 'Waiting for the phone',
    sending: 'Sending',
    sent: 'Sent',
    delivered: 'Delivered',
    read: 'Read',
    failed: 'Not sent',
    cancelled: 'Cancelled',
  },

  notice: {
    offer: 'Shall Pairline tell you about new messages?',
    turnOn: 'Turn on',
    notNow: 'Not now',
    from: (name: string) => `Message from ${name}`,
    copyFailed: 'The browser did not let this be copied',
    title: 'Notifications',
    incoming: (name: string, text: string) => `New message from ${name}: ${text}`,
  },

  /** By error code; `otherError` for the rest. */
  errors: {
    offline: 'There is no connection to the server.',
    timeout: 'The server did not answer in time.',
    bad_code: 'This is not a Pairline code. Copy the whole link under the QR code.',
    wrong_server: 'This code belongs to another server.',
    not_paired: 'This browser is not linked.',
    no_keys: 'The key for this is not on this browser.',
    pairing_expired: 'This code has expired. The other browser shows a new one.',
    pairing_timeout: 'Nobody scanned the code in time.',
    pairing_used: 'This code was used already. The other browser shows a new one.',
    pairing_unknown: 'The server does not know this code. It may have been restarted.',
    invalid_qr: 'This is not a code of this server.',
    rate_limited: 'Too many attempts. Wait a moment.',
    busy: 'The server is busy. Try again shortly.',
    failed: 'This browser could not store that. Its storage may be full.',
    conversation_not_found: 'This conversation is not here any more.',
    message_not_found: 'This message is not here any more.',
    session_expired: 'The session of this browser has ended.',
    left_out:
      'This browser has not got the newest key yet. It comes when your phone is connected; if it does not, link this browser again.',
    stale_page: 'There is a new version of this page. Reload it to go on.',
    unavailable: 'The server’s database is not available. Try again shortly.',
    string_too_long: 'This text is too long.',
  } as Record<string, string>,
  otherError: (code: string) => `That did not work (${code}).`,
};

export type Words = typeof en;

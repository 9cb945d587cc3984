/** A mail as it is written: everything but who gets it. */
export interface Letter {
  subject: string;
  text: string;
  html: string;
}

/** What a code is for: what its owner is about to do. */
const DEEDS = {
  'sign-in': 'sign in',
  password: 'set a new password',
  email: 'add this email to your account',
} as const;
export type CodeDeed = keyof typeof DEEDS;

/** `place` is the realm's name, `minutes` how long the code is good. */
export function codeLetter(place: string, deed: CodeDeed, code: string, minutes: number): Letter {
  const purpose = `Your code to ${DEEDS[deed]}`;
  const term = minutes === 1 ? 'It is good for one minute, once.' : `It is good for ${minutes} minutes, once.`;
  const stranger = 'If you did not ask for it, you need not do anything. Never tell it to anybody.';
  return {
    subject: `Your code for ${place}`,
    text: `${purpose} at ${place}: ${code}\n\n${term}\n${stranger}\n`,
    html: page(
      place,
      `<p style="margin:0 0 16px">${escape(purpose)}:</p>
       <p style="margin:0 0 16px;font:600 32px/1.2 ui-monospace,Menlo,Consolas,monospace;letter-spacing:6px">${escape(code)}</p>
       <p style="margin:0 0 16px">${escape(term)}</p>
       <p style="margin:0;color:#5c6570;font-size:14px">${escape(stranger)}</p>`,
    ),
  };
}

/** Nothing is loaded from anywhere: a mail must not tell when it is read. */
function page(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><meta name="color-scheme" content="light"><title>${escape(title)}</title></head>
  <body style="margin:0;padding:24px;background:#f2f4f6;color:#1c2126;font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif">
    <div style="max-width:440px;margin:0 auto;padding:32px;background:#ffffff;border-radius:12px">
       <h1 style="margin:0 0 24px;font-size:18px">${escape(title)}</h1>
       ${content}
    </div>
  </body>
</html>
`;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

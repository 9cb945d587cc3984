import type { ChatWords } from '../i18n/en-chats.js';

const MOST_NAME = 64;
const LEAST_PASSWORD = 8;
const MOST_PASSWORD = 1024;

type Problems = ChatWords['signIn']['problems'];

/** What is wrong with a name and a password that somebody chooses, if anything. */
export function checkChoice(
  words: Problems,
  name: string,
  password: string,
  again: string,
): { name?: string; password?: string; again?: string } {
  return {
    ...found('name', nameProblem(words, name.trim())),
    ...found('password', passwordProblem(words, password, name.trim())),
    ...found('again', again === password ? undefined : words.again),
  };
}

function nameProblem(words: Problems, name: string): string | undefined {
  if (name === '') return words.name;
  if (name.length > MOST_NAME) return words.nameLong;
  return /^\S+@\S+\.\S+$/.test(name) ? words.nameEmail : undefined;
}

function passwordProblem(words: Problems, password: string, name: string): string | undefined {
  if (password.length < LEAST_PASSWORD) return words.passwordShort;
  if (password.length > MOST_PASSWORD) return words.passwordLong;
  return password.toLowerCase() === name.toLowerCase() ? words.passwordName : undefined;
}

function found<Key extends string>(key: Key, problem: string | undefined): { [K in Key]?: string } {
  return (problem === undefined ? {} : { [key]: problem }) as { [K in Key]?: string };
}

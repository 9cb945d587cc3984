// What people in a simulated phone have talked about.

const them = (text: string) => ({ who: 'them', text }) as const;
const me = (text: string) => ({ who: 'me', text }) as const;

/** Four lines each. */
export const DIALOGUES = [
  [them('Are you coming on Saturday?'), me('Yes! What can I bring?'), them('A cake? 🍰'), me('Done 😄')],
  [me('Did you land safely?'), them('Just now. The view was unbelievable'), me('Send pictures'), them('Later, no network in here')],
  [them('Can you call me when you have a minute?'), me('In half an hour?'), them('Perfect'), me('👍')],
  [me('What was the name of that restaurant?'), them('The one by the river? “Kleiner Fisch”'), me('That one, thank you'), them('Take the soup')],
  [them('Happy birthday! 🎂🎉'), me('Thank you so much!'), them('See you tonight?'), me('At eight, all are welcome')],
  [me('I am running ten minutes late'), them('No worries, I am at the bar'), me('Order me a lemonade?'), them('Already did')],
  [them('Do you still have my drill?'), me('I do. Shall I bring it tomorrow?'), them('Sunday is enough'), me('Ok, Sunday')],
  [me('How did the exam go?'), them('Better than I feared'), me('I knew it 🙌'), them('Results come in two weeks')],
  [them('The meeting moved to 3 pm'), me('Same room?'), them('No, second floor, the one with the plants'), me('Got it')],
  [me('Is the heating working again?'), them('The technician comes tomorrow morning'), me('Good, it is cold here ❄️'), them('I am sorry about that')],
  [them('Look at the moon!'), me('Wow'), them('It will not be as close again until next year'), me('I am going up to the roof')],
  [me('Shopping list: milk, eggs, bread, basil'), them('We have eggs'), me('Then chocolate instead'), them('❤️')],
] as const; // prettier-ignore

/** From short codes and names. `#` becomes a number. */
export const NOTICES = [
  { from: '72404', texts: ['Parcels: your parcel # is on its way.', 'Parcels: your parcel # was delivered.'] },
  { from: '32665', texts: ['Your sign-in code is #. Do not share it with anyone.'] },
  { from: 'City Bank', texts: ['A payment of 24.90 was made with your card.', 'Your statement is ready.'] },
];

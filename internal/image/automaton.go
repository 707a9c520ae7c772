package image

import "github.com/mekcloud/mek/internal/automaton"

// Life is the life of an image. Images are deleted from every status.
func Life() automaton.Automaton {
	return automaton.Of("image", "image_images", "status", map[Status][]Status{
		automaton.Gone: {Queued},
		Queued:         {Saving, Uploading, Importing, Active, automaton.Gone},
		Saving:         {Active, Killed, Queued, automaton.Gone},
		Uploading:      {Importing, Queued, automaton.Gone},
		Importing:      {Active, Queued, automaton.Gone},
		Active:         {Deactivated, Queued, PendingDelete, automaton.Gone}, // queued: its bytes are found damaged
		Deactivated:    {Active, automaton.Gone},
		Killed:         {automaton.Gone},
		PendingDelete:  {Active, automaton.Gone},
	})
}

// TaskLife is the life of a task, which says how an import ended.
func TaskLife() automaton.Automaton {
	return automaton.Of("task", "image_tasks", "status", map[string][]string{
		automaton.Gone: {"pending", "processing"},
		"pending":      {"processing", "failure", automaton.Gone},
		"processing":   {"success", "failure", automaton.Gone},
		"success":      {automaton.Gone},
		"failure":      {automaton.Gone},
	})
}

// May tells whether an image may pass from one status to another.
func (s Status) May(to Status) bool { return Life().May(string(s), string(to), false) }
